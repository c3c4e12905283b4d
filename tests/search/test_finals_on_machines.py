"""Finals, and the check of a ranking, by two machines that share a study in a database.

The second machine is a worker that believes to be on another host; it is killed in the middle. Only
the silence of its claim tells the first one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, last_words, meddled, run_cli, started, wait_for
from helpers.runs import rerun_results, results

from nas_incep.records import FIDELITY
from nas_incep.results.run import Run
from nas_incep.search.supervisor import STORAGE_VARIABLE

# Six trials of two epochs, and finals long enough for a second machine to come in time.
OPTIONS = ("--trials", "6", "--sampler", "random", "--baseline", "none", "--heartbeat", "1")
OPTIONS += ("--finals", "0.9", "--final-epochs", "8", *SEARCH)
CHECK = ("--networks", "3", "--top", "2", "--times", "3")
ELSEWHERE = "import socket; socket.gethostname = lambda: 'elsewhere'"


@pytest.fixture(scope="module")
def whole(tiny_space: Path, table: Options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed search and its check, in a journal."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    done = run_cli("search", tiny_space, "--run", run, "--workers", 0, *OPTIONS, *table)
    assert done.returncode == 0, done.stderr
    done = run_cli("fidelity", run, *CHECK, "--workers", 0)
    assert done.returncode == 0, done.stderr
    return run


@contextmanager
def killed_elsewhere(
    arguments: list[str], run: Path, stage: str, environment: dict[str, str], folder: Path
) -> Iterator[subprocess.Popen[str]]:
    """A command whose run another machine joins in a stage, and leaves without a word.

    Not earlier: a machine that is slow for some seconds counts as dead, and its trial as killed.
    """
    folder.mkdir()
    at = rf"{stage} \d of trial \d+ \[Epoch 1\]"
    there = meddled(folder, ELSEWHERE)["PYTHONPATH"]
    join = [sys.executable, "-m", "nas_incep", "worker", str(run), "--device", "cpu"]
    with started([sys.executable, "-m", "nas_incep", *arguments], env=environment) as process:
        wait_for(process, at)
        with started(join, env={**environment, "PYTHONPATH": there}) as worker:
            wait_for(worker, at)
            worker.send_signal(signal.SIGKILL)
        yield process


def test_finals_and_a_check_outlive_a_machine_in_a_database(
    whole: Path, postgresql_url: str, tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run, environment = tmp_path / "run", {**os.environ, STORAGE_VARIABLE: postgresql_url}
    search = ["search", str(tiny_space), "--run", str(run), "--workers", "1", *OPTIONS, *slow_table]
    with killed_elsewhere(search, run, "finals", environment, tmp_path / "first") as process:
        said = last_words(process, 0)
    assert "its worker died; it is tried again" in said
    assert results(run) == results(whole)
    assert rerun_results(run) == rerun_results(whole)

    check = ["fidelity", str(run), *CHECK, "--workers", "1"]
    with killed_elsewhere(check, run, "fidelity", environment, tmp_path / "second") as process:
        said = last_words(process, 0)
    assert "its worker died; it is tried again" in said
    assert longer(run) == longer(whole)
    assert not list(run.glob("*/*.claim"))


def longer(run: Path) -> list[tuple[object, ...]]:
    records = Run(run).reruns(stages=(FIDELITY,))
    return [(r.subject.trial, r.subject.repeat, r.subject.seed, r.val_accuracy) for r in records]
