"""The ranking of a run's records as rows, JSON or CSV; reads and writes no files."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .._machine import FLOAT32
from .._text import counted, plain
from ..records import COMPLETE, PRUNED, STATES, TrialRecord
from .objectives import ACCURACY, pareto_front
from .standings import Network, Standing, network_of

COLUMNS = (
    *("rank", "kind", "trial", "name", "blocks", "val_accuracy", "epochs", "parameters", "macs"),
    *("latency_ms", "train_seconds", "images_per_second", "engine", "state", "pareto"),
    *(field.name for field in dataclasses.fields(Standing)),
)


def rank(
    records: Sequence[TrialRecord],
    objectives: Sequence[str] = ACCURACY,
    scores: Mapping[Network, float] | None = None,
) -> list[TrialRecord]:
    """The trained records, best first, without killed trials that were retried.

    Complete ones come first, by their score, by default the validation accuracy after the last
    epoch; ties go to fewer parameters, then to the lower number. The others follow, those with more
    epochs first. With several objectives, records on the Pareto front come before the other
    complete ones.
    """
    return [record for record, _ in _ranked(records, objectives, scores or {})]


def _ranked(
    records: Sequence[TrialRecord], objectives: Sequence[str], scores: Mapping[Network, float]
) -> list[tuple[TrialRecord, bool | None]]:
    """The ranking, with whether each record is on the front; None with a single objective."""
    trained = [record for record in records if record.counts]
    several = len(objectives) > 1
    front = {id(record) for record in pareto_front(trained, objectives)} if several else set()

    def key(record: TrialRecord) -> tuple[Any, ...]:
        complete = record.outcome.state == COMPLETE
        return (
            not complete,
            several and id(record) not in front,
            0 if complete else -record.epochs,
            -scores.get(network_of(record.subject), record.val_accuracy or 0.0),
            -(record.val_accuracy or 0.0),
            record.outcome.parameters or math.inf,
            -1 if record.subject.trial is None else record.subject.trial,
            record.subject.name,
        )

    ranked = sorted(trained, key=key)
    return [(record, id(record) in front if several else None) for record in ranked]


def rows(
    records: Sequence[TrialRecord],
    objectives: Sequence[str] = ACCURACY,
    standings: Mapping[Network, Standing] | None = None,
) -> list[dict[str, Any]]:
    """One object for each ranked record, in order of rank.

    `pareto` tells whether it is on the front; it is None with a single objective. With `standings`,
    as `ranking.rank_run` finds them, the records are in order already.
    """
    known = standings or {}
    order = {network: place for place, network in enumerate(known)}
    ranked = _ranked(records, objectives, {network: -place for network, place in order.items()})
    return [
        _row(position, record, on_front, known.get(network_of(record.subject)))
        for position, (record, on_front) in enumerate(ranked, 1)
    ]


def _row(
    position: int, record: TrialRecord, on_front: bool | None, standing: Standing | None
) -> dict[str, Any]:
    subject, outcome = record.subject, record.outcome
    arch = subject.architecture
    return {
        "rank": position,
        "kind": subject.kind,
        "trial": subject.trial,
        "name": subject.name,
        "blocks": [list(block) for block in arch.blocks] if arch else None,
        "val_accuracy": record.val_accuracy,
        "epochs": record.epochs,
        "parameters": outcome.parameters,
        "macs": outcome.macs,
        "latency_ms": outcome.latency_ms,
        "train_seconds": record.train_seconds,
        "images_per_second": record.images_per_second,
        "engine": record.engine,
        "state": outcome.state,
        "pareto": on_front,
        **{
            field.name: getattr(standing, field.name, None)
            for field in dataclasses.fields(Standing)
        },
    }


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """The fields of rows, with lists, true and false as in JSON and null left empty.

    Texts that a spreadsheet would take for a formula are prefixed with a quote.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        texts = {key: _inert(value) for key, value in row.items() if isinstance(value, str)}
        texts |= {
            key: json.dumps(row[key])
            for key in ("blocks", "pareto", "tied_with_best")
            if row[key] is not None
        }
        writer.writerow({**row, **texts})
    return out.getvalue().rstrip("\n")


def _inert(text: str) -> str:
    """The text, safe for spreadsheets (never a formula) and terminals (no control characters)."""
    return plain(f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text)


def surroundings(records: Sequence[TrialRecord]) -> str:
    """The devices, thread counts and precisions of the trainings, as a phrase."""
    precisions: dict[str, set[str]] = {}
    for record in records:
        if record.environment:
            place = _place(record.environment)
            precisions.setdefault(place, set()).add(record.environment.get("precision", FLOAT32))
    return " or ".join(
        place if found == {FLOAT32} else f"{place}, {' or '.join(sorted(found, reverse=True))}"
        for place, found in sorted(precisions.items())
    )


def _place(environment: Mapping[str, Any]) -> str:
    threads = environment.get("threads")
    return f"{environment.get('device')}, {threads} thread{'s' * (threads != 1)}"


def summary(records: Sequence[TrialRecord], objectives: Sequence[str] = ACCURACY) -> str:
    """A line with the number of candidates in each state and the size of the Pareto front."""
    counts = Counter(r.outcome.state for r in records if not r.subject.is_baseline)
    parts = [f"{counts[state]} {state}" for state in STATES if counts[state]]
    text = "candidates: " + (", ".join(parts) or "none yet")
    if len(objectives) > 1:
        front = pareto_front(records, objectives)
        baselines = sum(record.subject.is_baseline for record in front)
        text += f"; {len(front)} on the front of {' and '.join(objectives)}"
        text += f" ({counted(baselines, 'baseline')})" if baselines else ""
    saved, full = _saved_images(records)
    return text + (f"; pruning saved {saved:,} of {full:,} image passes" if saved else "")


def _saved_images(records: Sequence[TrialRecord]) -> tuple[int, int]:
    """The image passes that pruning saved, and those of all these trainings in full."""
    saved = full = 0
    for record in records:
        curve = record.outcome.curve
        trained = curve and record.outcome.state in (COMPLETE, PRUNED)
        if trained and not record.subject.is_baseline:
            whole = curve[0].images * record.recipe.epochs
            full += whole
            saved += whole - sum(point.images for point in curve)
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
