"""Another program that writes to the study of a run: a notebook, a dashboard."""

from __future__ import annotations

import json
import multiprocessing
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from helpers.commands import (
    SEARCH,
    TINY_SPACE,
    TRIALS,
    Options,
    command,
    last_words,
    run_cli,
    started,
    wait_for,
)
from helpers.runs import counted
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import TrialState

from nas_incep.results.run import Run
from nas_incep.study.locks import JournalLock
from nas_incep.study.storage import open_storage

REFERENCE = {"b0.n1_1": 16, "b0.n2_3": 16, "b0.n4_1": 16, "batch_norm": True}


def begun(space: Path, run: Path, table: Options) -> list[object]:
    """Begins a run without training anything; the command that goes on with it."""
    # With the default seed, the sampler draws a network twice.
    command = ["search", space, "--run", run, "--baseline", "none", "--seed", 1, *SEARCH, *table]
    done = run_cli(*command, "--trials", 0)
    assert done.returncode == 0, done.stderr
    return command


def study_of(run: Path) -> optuna.Study:
    name = json.loads((run / "run.json").read_text())["study"]["name"]
    return optuna.load_study(study_name=name, storage=open_storage(Run(run).study_path))


@pytest.mark.parametrize(
    ("choices", "point"),
    [
        ("[8, 16]", {"b0.n1_1": 7}),  # a choice that is not there
        ("{low = 8, high = 16, step = 8}", {"b0.n1_1": 24}),  # a number beyond the range
        ("{low = 8, high = 16, step = 8}", {"b0.n1_1": 9}),  # one between the steps
    ],
)
def test_a_point_outside_the_space_ends_as_impossible(
    choices: str, point: dict[str, Any], table: Options, tmp_path: Path
) -> None:
    space, run = tmp_path / "space.toml", tmp_path / "run"
    space.write_text(TINY_SPACE.replace("n1_1 = [8, 16]", f"n1_1 = {choices}"))
    command = begun(space, run, table)
    study_of(run).enqueue_trial({**REFERENCE, **point})
    done = run_cli(*command, "--trials", 3)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    outcomes = [record.outcome for record in Run(run).records()]
    assert sorted(outcome.state for outcome in outcomes) == ["complete"] * 3 + ["impossible"]
    impossible = next(outcome for outcome in outcomes if outcome.state == "impossible")
    assert impossible.reason.startswith("outside the space: ")


def test_a_repetition_of_a_network_in_training_names_it_and_teaches_nothing(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = begun(tiny_space, run, slow_table)
    study_of(run).enqueue_trial(REFERENCE)  # the space's reference is enqueued already
    done = run_cli(*command, "--trials", 3, "--workers", 2, "--epochs", 2)
    assert done.returncode == 0, done.stderr
    repeated = Run(run).trial(1).read().outcome
    assert (repeated.state, repeated.duplicate_of) == ("duplicate", 0)
    assert repeated.reason == "the same network as trial 0"
    first, second = study_of(run).get_trials()[:2]
    assert first.state == TrialState.COMPLETE
    assert second.user_attrs["duplicate_of"] == 0
    assert second.state == TrialState.FAIL


def plain_study(run: Path) -> optuna.Study:
    """As a notebook opens it, by Optuna alone."""
    name = json.loads((run / "run.json").read_text())["study"]["name"]
    storage = JournalStorage(JournalFileBackend(str(Run(run).study_path)))
    return optuna.load_study(study_name=name, storage=storage)


def _write(opened: Callable[[Path], optuna.Study], run: Path, name: str, count: Any) -> None:
    """Writes attributes until it is killed; `count` is of those that are surely written."""
    study = opened(run)
    while True:
        study.set_user_attr(f"{name}{count.value}", "x" * 200)
        count.value += 1
        time.sleep(random.uniform(0, 0.01))  # without a pause, Optuna's lock lets others starve


@contextmanager
def writing(run: Path, opened: dict[str, Any]) -> Iterator[dict[str, tuple[Any, Any]]]:
    """Processes that write while the block runs, by name, with the counts of what they wrote."""
    spawn = multiprocessing.get_context("spawn")
    writers = {}
    for name, function in opened.items():
        count = spawn.Value("q", 0)
        writers[name] = spawn.Process(target=_write, args=(function, run, name, count)), count
    try:
        for process, _ in writers.values():
            process.start()
        yield writers
    finally:
        for process, _ in writers.values():
            process.kill()
            process.join()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_plain_optuna_may_write_at_the_same_time(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    begun(tiny_space, run, table)
    with writing(run, {"ours": study_of, "killed": study_of, "theirs": plain_study}) as writers:
        wait_until(lambda: all(count.value >= 50 for _, count in writers.values()))
        # A killed worker stops nobody: with Optuna's lock alone, others would wait for 30 s.
        writers["killed"][0].kill()
        before = writers["theirs"][1].value
        wait_until(lambda: writers["theirs"][1].value >= before + 50)
    lines = Run(run).study_path.read_bytes().splitlines(keepends=True)
    assert all(isinstance(json.loads(line), dict) for line in lines[:-1])
    written = study_of(run).user_attrs
    for name, (_, count) in writers.items():
        assert count.value >= 50
        assert all(f"{name}{number}" in written for number in range(count.value))


def test_workers_and_optuna_wait_for_each_other(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    theirs, ours = JournalFileSymlinkLock(str(journal)), JournalLock(journal)
    journal.touch()
    for holder, waiter in ((theirs, ours), (ours, theirs)):
        thread = threading.Thread(target=waiter.acquire)
        holder.acquire()
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        holder.release()
        thread.join(10)
        assert not thread.is_alive()
        waiter.release()
    assert not (tmp_path / "study.journal.lock").is_symlink()


def test_a_trial_that_another_program_ends_is_left_to_it(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    whole = command(tiny_space, run, "--workers", 1, *slow_table)
    with started(whole) as process:
        wait_for(process, r"trial 0 \[Epoch 1\]")
        study = plain_study(run)
        study.tell(0, 0.999)
        said = last_words(process, 0)
    assert "another worker or program has ended this trial" in said
    assert not Run(run).trial(0).record_path.exists()
    assert len(counted(run)) == TRIALS


def test_a_study_that_another_program_deletes_is_made_again(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    whole = command(tiny_space, run, "--workers", 1, *slow_table)
    with started(whole) as process:
        wait_for(process, "trial 0 complete")
        study = plain_study(run)
        optuna.delete_study(study_name=study.study_name, storage=study._storage)
        said = last_words(process, 2)
    assert "the study was deleted by another program; repeat the search's command" in said
    done = subprocess.run(whole, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "it has no study" in done.stderr and "the study is made again" in done.stderr
    assert len(counted(run)) == TRIALS
