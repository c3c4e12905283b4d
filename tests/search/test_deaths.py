"""Workers that die: replaced, their trials tried again, the search ended where none can live."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.commands import (
    SEARCH,
    TRIALS,
    Options,
    command,
    holder,
    run_cli,
    started,
    suicidal,
    wait_for,
    workers_of,
)
from helpers.engines import TORCH
from helpers.runs import agree, assert_as_recorded, counted, rows, trained

from nas_incep.results.run import Run


@pytest.mark.parametrize(
    ("end", "engine"),
    [
        (signal.SIGSEGV, "gluon"),
        pytest.param(signal.SIGABRT, "torch", marks=TORCH.marks),
        (signal.SIGKILL, "table"),
    ],
)
def test_a_worker_that_dies_is_replaced_and_its_trial_tried_again(
    end: signal.Signals,
    engine: str,
    real: Callable[[str], Path],
    tiny_space: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if engine == "table":
        undisturbed = request.getfixturevalue("undisturbed")
        options = request.getfixturevalue("slow_table")
    else:
        undisturbed, options = real(engine), ("--engine", engine)
    run = tmp_path / "run"
    with started(command(tiny_space, run, *options, "--workers", 2)) as process:
        wait_for(process, r"^trial 1 \[Epoch 2\]")
        os.kill(holder(process, run, 1), end)
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    records = {record.subject.trial: record for record in Run(run).records()}
    killed = records[1]
    assert killed.outcome.state == "killed" and not killed.counts
    assert killed.outcome.reason == f"its worker was ended by {end.name}"
    second = next(record for record in records.values() if record.subject.retry_of == 1)
    retry = second.subject
    assert f"{killed.outcome.reason}; it is tried again as trial {retry.trial}" in said
    assert second.outcome.state == "complete"
    assert (retry.name, retry.seed) == (killed.subject.name, killed.subject.seed)
    # It went on after the epoch that was saved, to the figures of one that nothing happened to.
    assert f"trial {retry.trial} [Epoch 1]" not in said
    assert retry.name in trained(undisturbed)
    assert agree(run, undisturbed)
    assert len(counted(run)) == TRIALS
    assert [row["trial"] for row in rows(run)].count(1) == 0
    assert "1 killed" in run_cli("leaderboard", run).stdout


def test_a_trial_that_kills_its_second_worker_is_given_up(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with started(command(tiny_space, run, *slow_table, "--workers", 2)) as process:
        wait_for(process, r"^trial 1 \[Epoch 2\]")
        os.kill(holder(process, run, 1), signal.SIGKILL)
        line = wait_for(process, "tried again as trial")
        retry = int(line.split()[-1])
        wait_for(process, rf"^trial {retry} \[Epoch 3\]")
        os.kill(holder(process, run, retry), signal.SIGKILL)
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert "a second time; it is given up" in said
    records = {record.subject.trial: record for record in Run(run).records()}
    assert records[retry].outcome.state == "killed" and records[retry].counts
    assert len(counted(run)) == TRIALS
    assert len(trained(run)) == TRIALS - 1
    assert "2 killed" in run_cli("leaderboard", run).stdout


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_supervisor_takes_its_workers_with_it_and_the_search_goes_on(
    end: signal.Signals, undisturbed: Path, tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = command(tiny_space, run, *slow_table, "--workers", 2)
    with started(arguments) as process:
        wait_for(process, r"^trial \d \[Epoch 3\]")
        workers = workers_of(process)
        process.send_signal(end)
        process.wait(timeout=60)
    assert len(workers) == 2
    assert process.returncode == (-end if end == signal.SIGKILL else 130)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "workers outlive their supervisor"
        time.sleep(0.05)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(counted(run)) == TRIALS
    assert trained(run) == trained(undisturbed)
    # Nobody counts it against a trial that the whole search was stopped.
    assert all(record.outcome.state != "killed" for record in Run(run).records())


@pytest.mark.parametrize("pruner", ["none", "sha"])
@pytest.mark.parametrize("fsyncs", [37, 51])
def test_workers_that_die_again_and_again_come_to_the_same_figures(
    fsyncs: int, pruner: str, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    """Each worker dies at its n-th write: in drawing, training, recording, telling, wherever."""
    run = tmp_path / "run"
    options = ("--workers", 2, "--pruner", pruner, "--trials", 12, *table)
    done = subprocess.run(
        command(tiny_space, run, *options),
        capture_output=True, text=True, timeout=300, env=suicidal(tmp_path, fsyncs),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(counted(run)) == 12
    states = [record.outcome.state for record in Run(run).records()]
    assert "killed" in states
    assert "duplicate" in states
    assert ("pruned" in states) == (pruner == "sha")
    assert_as_recorded(run)


@pytest.mark.parametrize(
    ("fsyncs", "pruner"),
    list(zip([1, 2, 3, 5, 7, 9, 11, 13, 17, 23, 30], itertools.cycle(["none", "sha"]))),
)
def test_workers_that_die_early_leave_a_search_that_goes_on(
    fsyncs: int, pruner: str, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    """Whether they got through or not: nothing is trained twice, and no trial is lost."""
    run = tmp_path / "run"
    arguments = command(tiny_space, run, "--workers", 2, "--pruner", pruner, *table)
    done = subprocess.run(
        arguments, capture_output=True, text=True, timeout=300, env=suicidal(tmp_path, fsyncs)
    )
    assert "Traceback" not in done.stderr
    if done.returncode == 3:
        last = done.stderr.splitlines()[-1]
        assert "3 workers on cpu died" in last or "candidates all ended as killed" in last
    else:
        assert done.returncode == 0, done.stderr
        assert len(counted(run)) == TRIALS
    assert_as_recorded(run)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(counted(run)) == TRIALS
    assert_as_recorded(run)


def test_workers_that_cannot_live_end_the_search(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        command(tiny_space, run, *table, "--workers", 2),
        capture_output=True, text=True, timeout=120, env=suicidal(tmp_path, 0),
    )  # fmt: skip
    assert done.returncode == 3
    assert "3 workers on cpu died before they trained anything" in done.stderr
    assert "SIGSEGV" in done.stderr and "Traceback" not in done.stderr
    done = subprocess.run(
        command(tiny_space, run, *table), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_when_every_candidate_kills_its_worker_the_search_ends(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        command(tiny_space, run, *table, "--workers", 1),
        capture_output=True, text=True, timeout=300, env=suicidal(tmp_path, 9),
    )  # fmt: skip
    assert done.returncode == 3
    assert "the last 3 candidates all ended as killed" in done.stderr
    assert len(counted(run)) == 3


def test_a_baseline_that_kills_two_workers_is_recorded_and_left(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = [*SEARCH, *table, "--trials", 0, "--baseline", "cifar_resnet20_v1", "--workers", 1]
    done = run_cli("search", tiny_space, "--run", run, *arguments, env=suicidal(tmp_path, 2))
    assert done.returncode == 0, done.stderr
    assert "it is tried again" in done.stderr
    assert [row["state"] for row in rows(run)] == ["killed"]
    assert run_cli("search", tiny_space, "--run", run, *arguments).returncode == 0
    assert [row["state"] for row in rows(run)] == ["complete"]


@pytest.mark.parametrize("options", [(), ("--debug",)], ids=["plain", "debug"])
def test_a_worker_that_is_asked_to_end_is_replaced(
    options: Options, undisturbed: Path, tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with started(command(tiny_space, run, *slow_table, "--workers", 1, *options)) as process:
        wait_for(process, r"^trial 0 \[Epoch 2\]")
        os.kill(workers_of(process)[0], signal.SIGTERM)
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert "takes its place" in said
    assert trained(run) == trained(undisturbed)
