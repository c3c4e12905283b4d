"""Runs to report about, made of records and never searched, so that they hold what a test needs."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from helpers.commands import TINY_SPACE
from helpers.records import a_config, changed, record
from helpers.tables import tiny_architectures

from nas_incep.records import BASELINE, Subject, TrialRecord
from nas_incep.results import leaderboard
from nas_incep.results.fidelity import Fidelity, trainings
from nas_incep.results.finals import Finals
from nas_incep.results.ranking import rank_run
from nas_incep.results.run import Run
from nas_incep.results.standings import network_of
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


def trained_again(run: Run, subjects: Iterable[Subject], noise: float) -> None:
    """Writes the records of trainings with fresh seeds: the network's accuracy and a noise."""
    request, first = run.config().request, {network_of(r.subject): r for r in run.records()}
    for subject in subjects:
        old = first[network_of(subject)]
        drawn = noise * random.Random(subject.seed).uniform(-1, 1)
        accuracy = round(min(1.0, (old.val_accuracy or 0.0) + drawn), 4)
        curve = record(0, "complete", 0.1, accuracy).outcome.curve
        new = dataclasses.replace(
            changed(old, curve=curve), subject=subject, recipe=request.recipe_of(subject)
        )
        run.entry(subject).folder.mkdir(exist_ok=True)
        run.entry(subject).write(new)


def play_finals(run: Run, noise: float) -> None:
    """Plays the finals of a run to their end."""
    request, records = run.config().request, run.records()
    while wanted := rank_run(request, records, run.reruns()).race.wanted:
        trained_again(run, wanted, noise)


@pytest.fixture(scope="session")
def checked_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of 16 candidates with finals and a check of its ranking. Tests only read it."""
    check = Fidelity(networks=6, top=3, seeds=2, times=2)
    path = tmp_path_factory.mktemp("runs") / "checked"
    records = networks(*["complete"] * 16)
    run = write_run(path, records, finals=Finals(0.6), fidelity=check, trials=16)
    play_finals(run, 0.05)
    request = run.config().request
    ranked = leaderboard.rank(run.records(), request.objectives)
    trained_again(run, trainings(check, request.seed, ranked, []), 0.05)
    return run
