"""What a run folder holds, as tests compare it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from helpers.commands import TRIALS, run_cli
from helpers.tables import curve
from nas_incep.records import TrialRecord
from nas_incep.results.run import Run


def rows(run: Path) -> list[dict[str, Any]]:
    done = run_cli("leaderboard", run, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def results(run: Path) -> list[tuple[Any, ...]]:
    """What of a run's records the seed decides; times are not among it."""
    return [_result(record) for record in Run(run).records()]


def rerun_results(run: Path) -> list[tuple[Any, ...]]:
    """Likewise of the trainings with fresh seeds."""
    return [
        (record.subject.stage, record.subject.repeat, *_result(record))
        for record in Run(run).reruns()
    ]


def _result(record: TrialRecord) -> tuple[Any, ...]:
    curve = [(p.loss, p.train_accuracy, p.val_loss, p.val_accuracy) for p in record.outcome.curve]
    subject = record.subject
    return subject.trial, subject.name, record.outcome.state, subject.seed, curve


def trained(run: Path) -> dict[str, tuple[Any, ...]]:
    """What of each trained network the seed decides. Fails if one was trained twice."""
    found: dict[str, tuple[Any, ...]] = {}
    for record in Run(run).records():
        subject, outcome = record.subject, record.outcome
        if outcome.curve:
            assert subject.name not in found
            curve = [(p.loss, p.train_accuracy, p.val_loss, p.val_accuracy) for p in outcome.curve]
            found[subject.name] = (subject.seed, outcome.state, curve)
    return found


def same_seeds(run: Path, other: Path) -> list[bool]:
    """Of each network that both runs trained by the same seed, whether it has the same figures."""
    mine, theirs = trained(run), trained(other)
    common = [n for n in mine.keys() & theirs.keys() if mine[n][0] == theirs[n][0]]
    return [mine[name] == theirs[name] for name in common]


def agree(run: Path, other: Path) -> bool:
    """Whether what both runs trained by the same seed has the same figures.

    A second try takes a number, so a draw or two may be another's, or have another seed.
    """
    same = same_seeds(run, other)
    return len(same) >= TRIALS - 3 and all(same)


def counted(run: Path) -> list[TrialRecord]:
    return [record for record in Run(run).records() if record.counts]


def assert_as_recorded(run: Path) -> None:
    """A run over a table has its figures, each network once, complete ones for all epochs."""
    trained(run)
    for record in Run(run).records():
        outcome = record.outcome
        points = [dataclasses.asdict(point) for point in outcome.curve]
        assert points == curve(record.subject.name)[: len(points)]
        if outcome.state == "complete":
            assert len(points) == record.recipe.epochs
