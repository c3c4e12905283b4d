"""The ranking of a run's records, and its three forms. Pure: records in, text out."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .records import COMPLETE, PRUNED, STATES, UNTRAINED, TrialRecord

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = (
    *("rank", "kind", "trial", "name", "blocks", "val_accuracy", "epochs", "parameters", "macs"),
    *("train_seconds", "images_per_second", "state"),
)


def rank(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trained records, best first.

    Complete ones come first, by the last epoch's validation accuracy; equal ones by fewer
    parameters, then by number. The others follow, the ones that got further first.
    """
    trained = [record for record in records if record.state not in UNTRAINED]

    def key(record: TrialRecord) -> tuple[Any, ...]:
        complete = record.state == COMPLETE
        return (
            not complete,
            0 if complete else -record.epochs,
            -(record.val_accuracy or 0.0),
            record.parameters or math.inf,
            -1 if record.trial is None else record.trial,
            record.name,
        )

    return sorted(trained, key=key)


def rows(records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """One object for each ranked record, in order of rank."""
    return [
        {
            "rank": position,
            "kind": record.kind,
            "trial": record.trial,
            "name": record.name,
            "blocks": [list(b) for b in record.architecture.blocks]
            if record.architecture
            else None,
            "val_accuracy": record.val_accuracy,
            "epochs": record.epochs,
            "parameters": record.parameters,
            "macs": record.macs,
            "train_seconds": record.train_seconds,
            "images_per_second": record.images_per_second,
            "state": record.state,
        }
        for position, record in enumerate(rank(records), 1)
    ]


def to_json(records: Sequence[TrialRecord]) -> str:
    return json.dumps(rows(records), indent=1)


def to_csv(records: Sequence[TrialRecord]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows(records):
        writer.writerow({**row, "blocks": json.dumps(row["blocks"]) if row["blocks"] else ""})
    return out.getvalue().rstrip("\n")


def to_table(records: Sequence[TrialRecord], title: str) -> Table:
    """The ranking for a terminal; None stands as a dash."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in ("rank", "kind", "trial"):
        table.add_column(column, justify="right" if column != "kind" else "left")
    for column in ("name", "blocks"):
        table.add_column(column, overflow="fold")
    for column in ("val acc", "epochs", "params", "MACs", "train s", "img/s"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("state")
    for row in rows(records):
        table.add_row(
            str(row["rank"]),
            row["kind"],
            "-" if row["trial"] is None else str(row["trial"]),
            row["name"],
            short_blocks(row["blocks"]),
            "-" if row["val_accuracy"] is None else f"{row['val_accuracy']:.4f}",
            str(row["epochs"]),
            short_number(row["parameters"]),
            short_number(row["macs"]),
            f"{row['train_seconds']:.1f}",
            "-" if row["images_per_second"] is None else f"{row['images_per_second']:.0f}",
            row["state"],
            style="bold" if row["kind"] == "baseline" else None,
        )
    return table


def summary(records: Sequence[TrialRecord]) -> str:
    """How many candidates ended in each state, as a phrase."""
    counts = Counter(record.state for record in records if record.kind == "candidate")
    parts = [f"{counts[state]} {state}" for state in STATES if counts[state]]
    text = "candidates: " + (", ".join(parts) or "none yet")
    saved, full = _saved_images(records)
    return text + (f"; pruning saved {saved:,} of {full:,} image passes" if saved else "")


def _saved_images(records: Sequence[TrialRecord]) -> tuple[int, int]:
    """The image passes that pruned trainings were spared, and those of all trainings in full."""
    saved = full = 0
    for record in records:
        if record.kind == "candidate" and record.curve and record.state in (COMPLETE, PRUNED):
            whole = record.curve[0].images * record.recipe["epochs"]
            full += whole
            saved += whole - sum(point.images for point in record.curve)
    return saved, full


def short_blocks(blocks: list[list[int]] | None) -> str:
    return "-" if blocks is None else " ".join("-".join(map(str, block)) for block in blocks)


def short_number(value: float | None) -> str:
    """Three digits and a unit: 1207622 is 1.21M."""
    if value is None:
        return "-"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * size:  # 999,600 is 1.00M, not 1e+03k
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"
