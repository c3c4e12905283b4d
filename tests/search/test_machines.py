"""A study in a database that workers join from anywhere; here they are processes, one is killed."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from helpers.commands import Options, command, run_cli, started, wait_for
from helpers.runs import counted, trained

from nas_incep.results.run import Run
from nas_incep.search.supervisor import STORAGE_VARIABLE

TRIALS = 9
OPTIONS = ("--trials", TRIALS, "--epochs", 12, "--heartbeat", 1, "--workers", 1)
OPTIONS += ("--images-per-epoch", 1280)  # enough that the other workers come in time


def first_in_a_second_epoch(
    workers: list[subprocess.Popen[str]],
) -> tuple[subprocess.Popen[str], int]:
    """Whichever of the workers first comes to a second epoch, and the number of its trial."""
    said: queue.SimpleQueue[tuple[subprocess.Popen[str], str]] = queue.SimpleQueue()

    def listen(worker: subprocess.Popen[str]) -> None:
        for line in worker.stderr or ():
            said.put((worker, line))

    for worker in workers:
        threading.Thread(target=listen, args=(worker,), daemon=True).start()
    while True:
        worker, line = said.get(timeout=120)
        match = re.match(r"trial (\d+) \[Epoch 2\]", line)
        if match:
            return worker, int(match[1])


@pytest.mark.parametrize(
    ("kind", "engine"),
    [("postgresql_url", "gluon"), ("mariadb_url", "table"), ("proxy_url", "table")],
)
def test_workers_share_a_study_and_outlive_one_that_is_killed(
    kind: str, engine: str, tiny_space: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(kind)
    run = tmp_path / "run"
    answers = () if engine == "gluon" else request.getfixturevalue("slow_table")
    environment = {**os.environ, STORAGE_VARIABLE: url}
    join = [sys.executable, "-m", "nas_incep", "worker", str(run), "--device", "cpu"]
    with ExitStack() as stack:
        search = stack.enter_context(
            started(command(tiny_space, run, *OPTIONS, *answers), env=environment)
        )
        wait_for(search, r"\[Epoch 1\]")
        workers = [stack.enter_context(started(join, env=environment)) for _ in range(3)]
        victim, killed = first_in_a_second_epoch(workers)
        victim.send_signal(signal.SIGKILL)
        said = search.communicate(timeout=300)[1]
        ends = [worker.wait(timeout=300) for worker in workers if worker is not victim]
    assert search.returncode == 0, said
    assert ends == [0, 0]
    assert len(counted(run)) == TRIALS
    assert len(trained(run)) == TRIALS  # each network once
    records = {record.subject.trial: record for record in Run(run).records()}
    assert records[killed].outcome.state == "killed"
    retry = next(record for record in records.values() if record.subject.retry_of == killed)
    assert (retry.outcome.state, retry.subject.name, retry.subject.seed) == (
        "complete",
        records[killed].subject.name,
        records[killed].subject.seed,
    )
    for path in run.rglob("*"):  # the password is nobody's business
        if path.is_file() and url.startswith("postgresql"):
            assert url.split(":")[2].partition("@")[0].encode() not in path.read_bytes()


def test_a_search_in_a_database_goes_on_after_being_killed(
    postgresql_url: str, tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    """With one worker it comes to the same trials as one that nothing happened to."""
    run, whole = tmp_path / "run", tmp_path / "whole"
    # A seed with which trial 3 is a network of its own.
    options = ("--workers", 1, "--sampler", "tpe", "--seed", 1, "--epochs", 3, *slow_table)
    done = subprocess.run(command(tiny_space, whole, *options), capture_output=True, timeout=300)
    assert done.returncode == 0
    arguments = command(tiny_space, run, *options, "--storage", postgresql_url)
    for moment in (r"^trial 0 \[Epoch 2\]", r"^trial 3 \[Epoch 1\]"):
        with started(arguments) as process:
            wait_for(process, moment)
            process.kill()
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [r.subject.name for r in Run(run).records()] == [
        r.subject.name for r in Run(whole).records()
    ]
    assert trained(run) == trained(whole)


def test_the_storage_of_a_run_cannot_change(
    postgresql_url: str, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = ("--trials", 0, "--workers", 0, *table)
    first = command(tiny_space, run, *options, "--storage", postgresql_url)
    assert subprocess.run(first, capture_output=True).returncode == 0
    done = subprocess.run(command(tiny_space, run, *options), capture_output=True, text=True)
    assert done.returncode == 2
    assert "its study is in postgresql://" in done.stderr and "--storage URL" in done.stderr
    other = command(tiny_space, tmp_path / "other", *options)
    assert subprocess.run(other, capture_output=True).returncode == 0
    done = subprocess.run([*other, "--storage", postgresql_url], capture_output=True, text=True)
    assert done.returncode == 2
    assert "its study is in its own journal" in done.stderr


def test_a_worker_with_another_databases_url_is_refused(
    postgresql_url: str, mariadb_url: str, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    """There it would begin a second study, and overwrite the records of the first."""
    run = tmp_path / "run"
    search = command(tiny_space, run, "--trials", 0, *table, "--storage", postgresql_url)
    assert subprocess.run(search, capture_output=True).returncode == 0
    environment = {**os.environ, STORAGE_VARIABLE: mariadb_url}
    done = run_cli("worker", run, env=environment)
    assert done.returncode == 2, done.stderr
    assert "the study was lost or replaced" in done.stderr
    assert not list(run.glob("trials/*"))
