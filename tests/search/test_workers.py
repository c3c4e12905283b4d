"""Searches by several processes: exact counts, no network trained twice, deaths survived."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.commands import (
    SEARCH,
    TRIALS,
    command,
    holder,
    meddled,
    run_cli,
    started,
    wait_for,
    workers_of,
)
from helpers.runs import agree, counted, rows, same_seeds, trained

from nas_incep.results.run import Run


@pytest.fixture(scope="module")
def undisturbed(tiny_space: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one worker, to which the others are compared. Tests only read it."""
    run = tmp_path_factory.mktemp("runs") / "undisturbed"
    subprocess.run(command(tiny_space, run, "--workers", 1), check=True, capture_output=True)
    assert len(trained(run)) == TRIALS
    return run


def test_three_workers_train_what_one_trains(
    undisturbed: Path, tiny_space: Path, tmp_path: Path
) -> None:
    """The random sampler draws by the trial's number, so it is the same networks."""
    run = tmp_path / "run"
    done = subprocess.run(
        command(tiny_space, run, "--workers", 3), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert len(counted(run)) == TRIALS
    assert trained(run) == trained(undisturbed)
    # One display: every training's lines have come through.
    for record in counted(run):
        assert f"trial {record.subject.trial} [Epoch 8]" in done.stderr
        assert f"trial {record.subject.trial} complete" in done.stderr
    assert list((run / "workers").iterdir()) == []


def test_a_worker_that_dies_is_replaced_and_its_trial_tried_again(
    undisturbed: Path, tiny_space: Path, tmp_path: Path
) -> None:
    end = signal.SIGSEGV
    run = tmp_path / "run"
    with started(command(tiny_space, run, "--workers", 2)) as process:
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


def test_a_trial_that_kills_its_second_worker_is_given_up(tiny_space: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with started(command(tiny_space, run, "--workers", 2)) as process:
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
    end: signal.Signals, undisturbed: Path, tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = command(tiny_space, run, "--workers", 2)
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
    undisturbed: Path, tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        command(tiny_space, run, "--workers", 3, "--epochs", 1),
        capture_output=True, text=True, timeout=300, env=meddled(tmp_path, SLOW),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(counted(run)) == len(trained(run)) == TRIALS


# Makes a worker, but not its supervisor, end itself at a certain call of os.fsync.
SUICIDE = """
import os, signal
if b"--supervised-as" in open("/proc/self/cmdline", "rb").read():
    left = int(os.environ["SUICIDE"])
    if left == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    fsync = os.fsync
    def counted(descriptor):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGSEGV)
        fsync(descriptor)
    os.fsync = counted
"""


def suicidal(folder: Path, fsyncs: int) -> dict[str, str]:
    return meddled(folder, SUICIDE, SUICIDE=str(fsyncs))


def test_workers_that_die_again_and_again_come_to_the_same_figures(
    undisturbed: Path, tiny_space: Path, tmp_path: Path
) -> None:
    """Each worker dies at its 37th write: in drawing, training, recording, telling, wherever."""
    run = tmp_path / "run"
    done = subprocess.run(
        command(tiny_space, run, "--workers", 2),
        capture_output=True, text=True, timeout=300, env=suicidal(tmp_path, 37),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(counted(run)) == TRIALS
    assert sum(record.outcome.state == "killed" for record in Run(run).records()) >= 2
    same = same_seeds(run, undisturbed)
    assert same and all(same)


def test_workers_that_cannot_live_end_the_search(tiny_space: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        command(tiny_space, run, "--workers", 2),
        capture_output=True, text=True, timeout=120, env=suicidal(tmp_path, 0),
    )  # fmt: skip
    assert done.returncode == 3
    assert "3 workers on cpu died before they trained anything" in done.stderr
    assert "SIGSEGV" in done.stderr and "Traceback" not in done.stderr
    done = subprocess.run(command(tiny_space, run), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_when_every_candidate_kills_its_worker_the_search_ends(
    tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        command(tiny_space, run, "--workers", 1),
        capture_output=True, text=True, timeout=300, env=suicidal(tmp_path, 9),
    )  # fmt: skip
    assert done.returncode == 3
    assert "the last 3 candidates all ended as killed" in done.stderr
    assert len(counted(run)) == 3


def test_a_baseline_that_kills_two_workers_is_recorded_and_left(
    tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = [*SEARCH, "--trials", 0, "--baseline", "cifar_resnet20_v1", "--workers", 1]
    done = run_cli("search", tiny_space, "--run", run, *arguments, env=suicidal(tmp_path, 2))
    assert done.returncode == 0, done.stderr
    assert "it is tried again" in done.stderr
    assert [row["state"] for row in rows(run)] == ["killed"]
    assert run_cli("search", tiny_space, "--run", run, *arguments).returncode == 0
    assert [row["state"] for row in rows(run)] == ["complete"]


LONG = ("--workers", 1, "--epochs", 20)  # enough that another worker comes in time


def test_a_worker_joins_a_search_on_the_same_machine(tiny_space: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with started(command(tiny_space, run, *LONG)) as process:
        wait_for(process, r"^trial 0 \[Epoch 1\]")
        joined = run_cli("worker", run, "--device", "cpu")
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert joined.returncode == 0, joined.stderr
    assert "complete" in joined.stderr and "complete" in said
    assert len(counted(run)) == len(trained(run)) == TRIALS


def test_a_joined_worker_that_dies_leaves_its_trial_to_the_others(
    tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with started(command(tiny_space, run, *LONG)) as process:
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


def test_a_lost_study_is_told_before_anything_is_overwritten(
    undisturbed: Path, tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    Run(run).study_path.unlink()
    done = subprocess.run(command(tiny_space, run), capture_output=True, text=True)
    assert done.returncode == 2
    assert "the study was lost or replaced" in done.stderr
    assert trained(run) == trained(undisturbed)


def test_a_damaged_record_is_set_aside_with_a_notice(
    undisturbed: Path, tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    damaged = Run(run).trial(0).record_path
    damaged.write_text(damaged.read_text()[:100])
    done = run_cli("leaderboard", run)
    # It is told, and the others are ranked.
    assert done.returncode == 0 and "000000.json: not valid JSON" in done.stderr
    assert "it is left out" in done.stderr
    assert f"{TRIALS - 1} complete" in done.stdout
    done = subprocess.run(command(tiny_space, run), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "it is set aside as 000000.json.damaged" in done.stderr
    assert len(counted(run)) == TRIALS
    assert damaged.with_name("000000.json.damaged").exists()


def test_auto_measures_and_says_so(tiny_space: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ("--workers", "auto", "--threads", 2, "--trials", 2, "--epochs", 1)
    options += ("--precision", "auto")
    done = subprocess.run(
        command(tiny_space, run, *options), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    pattern = r"--workers auto: (\d) \(measured: 1 with 2 threads \S+ images/s, 2 with 1 threads"
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


def test_two_devices_have_a_worker_each(tiny_space: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ("--device", "cpu:0,cpu:1", "--trials", 4, "--epochs", 1)
    with started(command(tiny_space, run, *options)) as process:
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


@pytest.mark.parametrize("workers", ["two", "-1"])
def test_a_number_of_workers_is_a_number(workers: str, tmp_path: Path) -> None:
    done = run_cli("search", "quick", "--run", tmp_path / "r", "--workers", workers)
    assert done.returncode == 2
    assert f"--workers {workers}: a number or auto is expected" in done.stderr
