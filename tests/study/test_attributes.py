"""What a run's study tells who opens it with Optuna."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import matplotlib.pyplot
import optuna
import pytest
from helpers.commands import run_cli
from helpers.records import record
from helpers.tables import BASELINE, curve
from optuna.visualization.matplotlib import plot_optimization_history

from nas_incep.results.run import Run
from nas_incep.study.attributes import note_outcome
from nas_incep.study.journal import quiet
from nas_incep.study.storage import open_storage

EPOCHS = ("--epochs", 8, "--batch-size", 32, "--images-per-epoch", 320, "--device", "cpu")


def study_of(journal: Path) -> optuna.Study:
    """The study as a notebook opens it."""
    with quiet():
        backend = optuna.storages.journal.JournalFileBackend(str(journal))
        storage = optuna.storages.JournalStorage(backend)
        return optuna.load_study(study_name=None, storage=storage)


@pytest.fixture(scope="module")
def run(tiny_space: Path, table: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with complete, pruned, duplicate and over-budget candidates. Tests only read it."""
    path = tmp_path_factory.mktemp("runs") / "attributes"
    done = run_cli(
        *("search", tiny_space, "--run", path, "--trials", 10, "--sampler", "random"),
        *("--pruner", "sha", "--reduction", 2, "--max-params", 9000, "--baseline", BASELINE),
        *(*EPOCHS, *table),
    )
    assert done.returncode == 0, done.stderr
    return path


def test_each_trial_says_how_it_ended(run: Path) -> None:
    records = {r.subject.trial: r for r in Run(run).records() if not r.subject.is_baseline}
    states = set()
    for trial in study_of(run / "study.journal").trials:
        record, said = records[trial.number], trial.user_attrs
        states.add(record.outcome.state)
        assert said["state"] == record.outcome.state
        assert said.get("reason", "") == record.outcome.reason
        assert said["parameters"] == record.outcome.parameters
        assert said["macs"] == record.outcome.macs
        assert said.get("epochs", 0) == record.epochs
        if record.epochs:
            assert said["images_per_second"] == pytest.approx(record.images_per_second, abs=0.1)
    assert states >= {"complete", "pruned", "duplicate", "over budget"}


def test_a_plot_of_the_study_has_a_point_for_each_network(run: Path) -> None:
    records = [r for r in Run(run).records() if not r.subject.is_baseline]
    complete = [r for r in records if r.outcome.state == "complete"]
    study = study_of(run / "study.journal")
    with quiet():
        axes = plot_optimization_history(study)
    assert len(axes.collections[0].get_offsets()) == len(complete)
    matplotlib.pyplot.close(axes.figure)
    assert len({record.subject.name for record in complete}) == len(complete)
    for one in records:
        told = study.trials[one.subject.trial or 0]
        assert told.user_attrs.get("duplicate_of") == one.outcome.duplicate_of
        assert (told.value is None) == (one.outcome.state in ("duplicate", "over budget"))


def test_the_study_says_what_was_searched(run: Path) -> None:
    study = study_of(run / "study.journal")
    assert study.metric_names == ["accuracy"]
    expected: dict[str, Any] = {
        "space": "tiny",
        "dataset": "digits",
        "recipe": Run(run).config().request.recipe.name,
    }
    expected |= {"epochs": 8, "images_per_epoch": 320}
    expected[f"baseline {BASELINE}"] = curve(BASELINE)[7]["val_accuracy"]
    assert expected.items() <= study.user_attrs.items()


def test_the_journal_stays_small(run: Path) -> None:
    trials = len(study_of(run / "study.journal").trials)
    assert (run / "study.journal").stat().st_size < 6000 * trials


def test_a_repeated_search_notes_nothing_twice(
    tiny_space: Path, table: tuple[str, str], tmp_path: Path
) -> None:
    arguments = ("search", tiny_space, "--run", tmp_path / "r", "--trials", 1)
    arguments += ("--baseline", "none", *EPOCHS, *table)
    assert run_cli(*arguments).returncode == 0
    before = (tmp_path / "r" / "study.journal").read_text()
    assert before.count("user_attr") > 5
    assert run_cli(*arguments).returncode == 0
    after = (tmp_path / "r" / "study.journal").read_text()
    assert after.count("user_attr") == before.count("user_attr")


def test_what_is_noted_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write waits for the disk, and other workers wait for it."""
    storage = open_storage(tmp_path / "journal")
    study = optuna.create_study(storage=storage)
    trial, calls, fsync = study.ask(), [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (calls.append(number), fsync(number)))
    note_outcome(storage, trial._trial_id, record(0, "complete", 0.5))
    assert len(calls) == 1
    assert set(study.trials[0].user_attrs) >= {"state", "parameters", "macs", "epochs"}
    note_outcome(storage, trial._trial_id, record(0, "complete", 0.5))
    assert len(calls) == 1


def test_a_trial_that_another_program_has_ended_is_left_alone(tmp_path: Path) -> None:
    """Also if that happens between reading it and writing to it."""
    storage = open_storage(tmp_path / "journal")
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    one = record(0, "complete", 0.5)

    def ended_meanwhile(id: int, key: str, value: Any) -> None:
        study_of(tmp_path / "journal").tell(0, 1.0, skip_if_finished=True)
        set_user_attr(id, key, value)

    set_user_attr, storage.set_trial_user_attr = storage.set_trial_user_attr, ended_meanwhile
    note_outcome(storage, trial._trial_id, one)
    storage.set_trial_user_attr = set_user_attr
    assert study.trials[0].value == 1.0
    assert study.trials[0].user_attrs == {}
    study.ask()  # the storage is as good as before
