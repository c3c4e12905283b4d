"""A run's records as rows of tables, for programs and notebooks."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._text import plain
from ..records import EpochResult, TrialRecord
from .leaderboard import short_number
from .tables import accuracy_of

_SUBJECT = ("kind", "trial", "name", "stage", "repeat")
CURVE_COLUMNS = (*_SUBJECT, *(field.name for field in dataclasses.fields(EpochResult)))
TRIAL_COLUMNS = (
    *(*_SUBJECT, "seed", "blocks", "state", "reason", "val_accuracy", "epochs", "parameters"),
    *("macs", "latency_ms", "train_seconds", "images_per_second", "seconds", "finished"),
)


def trial_rows(records: Sequence[TrialRecord]) -> Iterator[dict[str, Any]]:
    """A row of TRIAL_COLUMNS for each record, in the order in which they were finished."""
    for record in sorted(records, key=lambda record: record.finished):
        outcome, arch = record.outcome, record.subject.architecture
        yield {
            **_subject(record),
            "seed": record.subject.seed,
            "blocks": [list(block) for block in arch.blocks] if arch else None,
            **{key: getattr(outcome, key) for key in ("state", "reason", "parameters", "macs")},
            "latency_ms": outcome.latency_ms,
            **{key: getattr(record, key) for key in ("val_accuracy", "epochs", "train_seconds")},
            **{key: getattr(record, key) for key in ("images_per_second", "seconds", "finished")},
        }


def curve_rows(records: Sequence[TrialRecord]) -> Iterator[dict[str, Any]]:
    """A row of CURVE_COLUMNS for each epoch of each record."""
    for record in records:
        for point in record.outcome.curve:
            yield {**_subject(record), **dataclasses.asdict(point)}


def _subject(record: TrialRecord) -> dict[str, Any]:
    return {key: getattr(record.subject, key) for key in _SUBJECT}


def to_html(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    """The ranking as an HTML table, whatever its names contain."""
    head = "".join(
        f"<th>{name}</th>" for name in ("rank", "name", "accuracy", "params", "MACs", "state")
    )
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    caption = html.escape(plain(title))
    return f"<table><caption>{caption}</caption><tr>{head}</tr>{body}</table>"


def _cells(row: Mapping[str, Any]) -> str:
    accuracy = accuracy_of(row)
    texts = (
        row["rank"],
        row["name"],
        "-" if accuracy is None else f"{accuracy:.4f}",
        short_number(row["parameters"]),
        short_number(row["macs"]),
        row["state"],
    )
    return "".join(f"<td>{html.escape(plain(text))}</td>" for text in texts)
