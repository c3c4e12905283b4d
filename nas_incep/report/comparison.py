"""Runs side by side: what each has found, and which of them can be compared with the first."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from .._text import cell, plain
from ..records import COMPLETE, STATES
from ..results.config import RunConfig
from .contents import Contents
from .words import duration

if TYPE_CHECKING:
    from rich.table import Table

# Settings that must agree: accuracies on other data or after another budget say nothing of each
# other. In the others, such as the sampler and the space, runs may differ: that is the question.
FAIR = ("engine", "dataset", "validation_size", "data_fingerprint", "recipe", "precision", "trials")


@dataclass(frozen=True)
class Compared:
    """One run of a comparison.

    Accuracies are fractions of the validation images, of complete candidates only. `obstacles` are
    differences from the first run that forbid a comparison with it, `differences` the others.
    """

    run: str
    best_accuracy: float | None
    mean_accuracy: float | None
    best_baseline: float | None
    counts: dict[str, int]  # candidates by state
    seconds: float  # of work in all trials, on however many workers
    images: int  # trained on, with repetitions
    obstacles: tuple[str, ...]
    differences: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON value with a key for each field, and whether the run is comparable."""
        return {**dataclasses.asdict(self), "comparable": not self.obstacles}


def compare(runs: Sequence[Contents]) -> list[Compared]:
    """Compares runs with the first of them."""
    return [_compared(run, runs[0].config) for run in runs]


def to_table(runs: Sequence[Compared]) -> Table:
    """A column for each run that can be compared with the first."""
    from rich.table import Table

    fair = [run for run in runs if not run.obstacles]
    states = [state for state in STATES if any(run.counts.get(state) for run in fair)]
    table = Table()
    table.add_column("")
    for run in fair:
        table.add_column(cell(run.run), justify="right", overflow="fold")
    lines = [
        ("best validation accuracy", [_fraction(run.best_accuracy) for run in fair]),
        ("mean of complete candidates", [_fraction(run.mean_accuracy) for run in fair]),
        ("best baseline", [_fraction(run.best_baseline) for run in fair]),
        *((f"{state} candidates", [str(run.counts.get(state, 0)) for run in fair])
          for state in states),
        ("time in trials", [duration(run.seconds) for run in fair]),
        ("images trained", [f"{run.images:,}" for run in fair]),
    ]  # fmt: skip
    for what, values in lines:
        table.add_row(what, *values)
    return table


def sentences(runs: Sequence[Compared]) -> list[str]:
    """How each run differs from the first, and which cannot be compared with it, and why."""
    first, said = runs[0].run, []
    for run in runs[1:]:
        if run.obstacles:
            said.append(f"{run.run} cannot be compared with {first}: {'; '.join(run.obstacles)}")
        elif run.differences:
            said.append(f"{run.run} differs from {first}: {'; '.join(run.differences)}")
    return said


def _compared(contents: Contents, first: RunConfig) -> Compared:
    candidates = [r for r in contents.records if not r.subject.is_baseline]
    accuracies = [
        record.val_accuracy
        for record in candidates
        if record.outcome.state == COMPLETE and record.val_accuracy is not None
    ]
    changes = first.changes(contents.config)
    trials = first.request.trials, contents.config.request.trials
    if trials[0] != trials[1]:
        changes.append(("trials", *trials))
    baseline = contents.best_baseline
    everything = [*contents.records, *contents.ranking.reruns]
    return Compared(
        run=str(contents.run.path),
        best_accuracy=contents.accuracy(contents.best) if contents.best else None,
        mean_accuracy=fmean(accuracies) if accuracies else None,
        best_baseline=contents.accuracy(baseline) if baseline else None,
        counts=dict(Counter(record.outcome.state for record in candidates)),
        seconds=sum(record.seconds for record in everything),
        images=sum(point.images for record in everything for point in record.outcome.curve),
        obstacles=tuple(_phrase(*change) for change in changes if _is_unfair(change[0])),
        differences=tuple(_phrase(*change) for change in changes if not _is_unfair(change[0])),
    )


def _is_unfair(place: str) -> bool:
    return place.partition(".")[0] in FAIR


def _phrase(place: str, first: Any, other: Any) -> str:
    return f"{place} is {plain(other, limit=60)}, not {plain(first, limit=60)}"


def _fraction(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
