"""Runs to report about, made of records and never searched, so that they hold what a test needs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from helpers.commands import TINY_SPACE
from helpers.records import a_config, record
from helpers.tables import tiny_architectures

from nas_incep.records import BASELINE, Subject, TrialRecord
from nas_incep.results.run import Run
from nas_incep.spaces.reader import parse_space


def networks(*ends: str) -> list[TrialRecord]:
    """A candidate of the tiny space for each state in `ends`, and a baseline."""
    made = []
    for number, (state, architecture) in enumerate(zip(ends, tiny_architectures() * 2)):
        accuracies = [0.3 + 0.02 * number, 0.5 + 0.03 * number] if state == "complete" else [0.2]
        one = record(number, state, *(accuracies if state in ("complete", "pruned") else []))
        subject = dataclasses.replace(
            one.subject, name=architecture.identity, architecture=architecture
        )
        outcome = dataclasses.replace(
            one.outcome, parameters=architecture.parameters, macs=architecture.macs
        )
        made.append(dataclasses.replace(one, subject=subject, outcome=outcome))
    return [*made, baseline("inception3@75:lr=0.003", 0.61)]


def baseline(name: str, accuracy: float) -> TrialRecord:
    one = record(None, "complete", 0.1, accuracy)
    outcome = dataclasses.replace(one.outcome, parameters=21_800_000, macs=201_000_000)
    return dataclasses.replace(one, subject=Subject(BASELINE, None, name, 1), outcome=outcome)


def write_run(path: Path, records: list[TrialRecord], **request: object) -> Run:
    """A run folder with these records; `request` are changes to the search that it asks for."""
    request.setdefault("space", parse_space(TINY_SPACE, "tiny", "tiny"))
    run = Run(path)
    path.mkdir()
    run.save(a_config(**request))
    for one in records:
        one = dataclasses.replace(one, recipe=run.config().request.recipe)
        run.entry(one.subject).folder.mkdir(exist_ok=True)
        run.entry(one.subject).write(one)
    return run


def damage(run: Run, trial: int) -> None:
    """Makes the record of a trial one that cannot be read."""
    path = run.trial(trial).record_path
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, "parameters": -1}))


@pytest.fixture(scope="session")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of 30 candidates with a bit of everything. Tests only read it."""
    ends = ["complete"] * 16 + ["pruned"] * 8 + ["failed", "diverged", "duplicate", "over budget"]
    path = tmp_path_factory.mktemp("runs") / "full"
    return write_run(path, networks(*ends, "timed out", "out of memory"))
