"""The log files of a run: the traceback of what failed, and no secret; whose fault a fault is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, command, meddled, run_cli
from helpers.runs import rows
from helpers.servers import free_port
from helpers.tables import write_table

from nas_incep.results.run import Run
from nas_incep.search.supervisor import STORAGE_VARIABLE

# Makes each step of a training in a worker raise, the framework's error or one of our own.
BROKEN = """
import os
if b"--supervised-as" in open("/proc/self/cmdline", "rb").read():
    from nas_incep import engines
    load_engine = engines.load_engine
    def load_broken(name):
        engine = load_engine(name)
        from mxnet.base import MXNetError
        from nas_incep.engines.gluon.training import Training
        def step(self, labels, *inputs):
            raise {"MXNetError": MXNetError, "TypeError": TypeError}[os.environ["RAISES"]]("ouch")
        Training.step = step
        return engine
    engines.load_engine = load_broken
"""
TRACEBACK = "Traceback (most recent call last)"


def logs(run: Path) -> str:
    return "".join(path.read_text() for path in sorted((run / "logs").iterdir()))


def broken(
    kind: str, space: Path, run: Path, folder: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    """A search of two trials whose every training raises an error of that kind."""
    arguments = ("--trials", 2, "--run", run, "--baseline", "none", "--workers", 1, *SEARCH)
    environment = meddled(folder, BROKEN, RAISES=kind)
    return run_cli("search", space, *arguments, *options, env=environment)


@pytest.mark.parametrize("options", [(), ("--debug",)], ids=["plain", "debug"])
def test_the_traceback_of_a_failed_trial_is_in_the_log(
    options: Options, tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = broken("MXNetError", tiny_space, run, tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in rows(run)] == ["failed", "failed"]
    for record in Run(run).records():
        assert record.outcome.reason == "MXNetError: ouch"
        assert record.outcome.where.endswith(" in step")
    written = logs(run)
    assert written.count(TRACEBACK) >= 2
    assert "trial 0: failed: MXNetError: ouch" in written
    assert "in run_epoch" in written and "in step" in written
    # A user sees it on demand alone.
    assert (TRACEBACK in done.stderr) is bool(options)
    assert ("in run_epoch" in done.stderr) is bool(options)
    assert "trial 0 failed: MXNetError: ouch" in done.stderr


def test_the_reason_of_a_failed_trial_is_in_the_log(tiny_space: Path, tmp_path: Path) -> None:
    path, run = write_table(tmp_path / "t.json", without=["95d4601560d7"]), tmp_path / "run"
    arguments = command(tiny_space, run, "--trials", 2, "--engine", f"table:{path}")
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"trial 0: failed: {path} has no curve of 95d4601560d7" in logs(run)
    assert "WARNING" in logs(run) and "trial 1: complete" in logs(run)


@pytest.mark.parametrize("options", [(), ("--debug",)], ids=["plain", "debug"])
def test_a_fault_of_ours_ends_the_search_and_is_no_failed_trial(
    options: Options, tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = broken("TypeError", tiny_space, run, tmp_path, *options)
    assert done.returncode == 1, done.stderr
    assert "TypeError: ouch" in (done.stderr if options else done.stderr.splitlines()[-1])
    assert (TRACEBACK in done.stderr) is bool(options)
    assert Run(run).records() == []
    written = logs(run)
    assert TRACEBACK in written and "TypeError: ouch" in written and "in step" in written
    # The trial was given back: once the fault is mended, the same command goes on with it.
    arguments = ("--trials", 2, "--run", run, "--baseline", "none", "--workers", 1, *SEARCH)
    done = run_cli("search", tiny_space, *arguments)
    assert done.returncode == 0, done.stderr
    states = [(record.subject.trial, record.outcome.state) for record in Run(run).records()]
    assert states == [(0, "complete"), (1, "complete")]


@pytest.mark.parametrize("options", [(), ("--debug",)], ids=["plain", "debug"])
def test_a_password_is_not_shown_where_the_database_does_not_answer(
    options: Options, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run, secret = tmp_path / "run", "s3cret"
    url = f"postgresql://worker:{secret}@127.0.0.1:{free_port()}/study"
    done = subprocess.run(
        command(tiny_space, run, "--workers", 0, *table, *options),
        capture_output=True, text=True, timeout=300, env={**os.environ, STORAGE_VARIABLE: url},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert (TRACEBACK in done.stderr) is bool(options)
    assert secret not in done.stderr
    assert not run.exists()
