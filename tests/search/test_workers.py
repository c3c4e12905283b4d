"""Searches by several processes: exact counts, no network trained twice, workers that join."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.commands import (
    TRIALS,
    Options,
    command,
    meddled,
    run_cli,
    started,
    wait_for,
    workers_of,
)
from helpers.engines import ENGINES
from helpers.runs import counted, trained

from nas_incep.results.run import Run
from nas_incep.search.display import make_display
from nas_incep.search.slots import Means, slots_of


def test_three_workers_train_what_one_trains(
    undisturbed: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    """The random sampler draws by the trial's number, so it is the same networks."""
    run = tmp_path / "run"
    done = subprocess.run(
        command(tiny_space, run, *table, "--workers", 3),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert len(counted(run)) == TRIALS
    assert trained(run) == trained(undisturbed)
    # One display: every training's lines have come through.
    for record in counted(run):
        assert f"trial {record.subject.trial} [Epoch 8]" in done.stderr
        assert f"trial {record.subject.trial} complete" in done.stderr
    assert list((run / "workers").iterdir()) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_two_workers_of_an_engine_train_what_one_trains(
    engine: str, real: Callable[[str], Path], tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        command(tiny_space, run, "--engine", engine, "--workers", 2),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert trained(run) == trained(real(engine))


# Puts a pause where a worker has seen which trials run, and not yet which have ended.
SLOW = """
import os, sys, time
if b"--supervised-as" in open("/proc/self/cmdline", "rb").read():
    from nas_incep.study.shared import SharedStudy
    running = SharedStudy.running
    def slow(study):
        found = running(study)
        time.sleep(0.3)
        return found
    SharedStudy.running = slow
"""


def test_the_count_is_exact_however_slow_a_look_is(
    undisturbed: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        command(tiny_space, run, *table, "--workers", 3, "--epochs", 1),
        capture_output=True, text=True, timeout=300, env=meddled(tmp_path, SLOW),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(counted(run)) == len(trained(run)) == TRIALS


LONG = ("--workers", 1, "--epochs", 4)  # enough that another worker comes in time


def test_a_worker_joins_a_search_on_the_same_machine(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with started(command(tiny_space, run, *LONG, *slow_table)) as process:
        wait_for(process, r"^trial 0 \[Epoch 1\]")
        joined = run_cli("worker", run, "--device", "cpu")
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert joined.returncode == 0, joined.stderr
    assert "complete" in joined.stderr and "complete" in said
    assert len(counted(run)) == len(trained(run)) == TRIALS


def test_a_joined_worker_that_dies_leaves_its_trial_to_the_others(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with started(command(tiny_space, run, *LONG, *slow_table)) as process:
        wait_for(process, r"^trial 0 \[Epoch 1\]")
        join = [sys.executable, "-m", "nas_incep", "worker", str(run), "--device", "cpu"]
        with started(join) as joined:
            wait_for(joined, r"\[Epoch 2\]")
            joined.kill()
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert "its worker died; it is tried again" in said
    assert len(counted(run)) == len(trained(run)) == TRIALS


def test_a_worker_needs_a_run_to_join(tmp_path: Path) -> None:
    done = run_cli("worker", tmp_path)
    assert done.returncode == 2
    assert "not a run folder" in done.stderr


def test_auto_measures_and_says_so(tiny_space: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ("--workers", "auto", "--threads", 2, "--trials", 2, "--epochs", 1)
    options += ("--precision", "auto")
    done = subprocess.run(
        command(tiny_space, run, *options), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    pattern = r"--workers auto: (\d) \(measured: 1 with 2 threads \S+ images/s, 2 with 1 thread "
    match = re.search(pattern, done.stderr)
    assert match, done.stderr
    threads = {"1": 2, "2": 1}[match[1]]
    assert all(r.environment["threads"] == threads for r in Run(run).records() if r.outcome.curve)
    assert len(counted(run)) == 2
    chosen = Run(run).config().precision
    assert f"--precision auto: {chosen}" in done.stderr
    assert {r.environment["precision"] for r in counted(run)} == {chosen}


def test_one_process_has_one_device(tmp_path: Path) -> None:
    options = ("--workers", 0, "--device", "cpu:0,cpu:1")
    done = run_cli("search", "quick", "--run", tmp_path / "r", *options)
    assert done.returncode == 2
    assert "one device only" in done.stderr
    assert not (tmp_path / "r").exists()


def test_two_devices_have_a_worker_each(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = ("--device", "cpu:0,cpu:1", "--trials", 4, "--epochs", 1)
    with started(command(tiny_space, run, *options, *slow_table)) as process:
        wait_for(process, r"\[Epoch 1\]")
        commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in workers_of(process)]
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    # The last device that is named counts: the test's own come after the common options.
    assert sorted(text.split("\0--device\0")[1].split("\0")[0] for text in commands) == [
        "cpu:0",
        "cpu:1",
    ]
    assert len(counted(run)) == 4


@pytest.mark.parametrize(
    ("trials", "workers"), [(6, ["1", "1", "1"]), (2, ["1", "1"])], ids=["cores", "trials"]
)
def test_a_cpu_has_a_worker_for_each_thread_unless_there_is_less_to_do(
    trials: int, workers: list[str], tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = ("--threads", 3, "--trials", trials, "--epochs", 1)
    with started(command(tiny_space, run, *options, *slow_table)) as process:
        wait_for(process, r"\[Epoch 1\]")
        commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in workers_of(process)]
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert [text.split("\0--threads\0")[1].split("\0")[0] for text in commands] == workers
    assert len(counted(run)) == trials


def test_many_cores_have_few_workers_with_more_threads(finished_run: Path) -> None:
    run = Run(finished_run)
    request = dataclasses.replace(run.config().request, trials=100)
    config = dataclasses.replace(run.config(), request=request)
    means = Means(workers=None, devices=("cpu",), threads=64)
    slots = slots_of(means, run, config, 0, make_display())
    assert [slot.threads for slot in slots] == [8] * 8


def test_a_measured_latency_has_the_cpu_to_itself(finished_run: Path) -> None:
    run = Run(finished_run)
    request = dataclasses.replace(run.config().request, trials=100, latency=True)
    config = dataclasses.replace(run.config(), request=request)
    means = Means(workers=None, devices=("cpu",), threads=4)
    slots = slots_of(means, run, config, 0, make_display())
    assert [slot.threads for slot in slots] == [4]


@pytest.mark.parametrize("workers", ["two", "-1"])
def test_a_number_of_workers_is_a_number(workers: str, tmp_path: Path) -> None:
    done = run_cli("search", "quick", "--run", tmp_path / "r", "--workers", workers)
    assert done.returncode == 2
    assert f"--workers {workers}: a number up to 1000 or auto is expected" in done.stderr
