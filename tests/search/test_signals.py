"""A search that is stopped by a signal goes on to the same end."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, run_cli
from helpers.engines import TORCH
from helpers.runs import results

from nas_incep.results.run import Run


@pytest.mark.parametrize(
    ("end", "engine"),
    [
        (signal.SIGINT, "gluon"),
        (signal.SIGTERM, "gluon"),
        (signal.SIGKILL, "gluon"),
        pytest.param(signal.SIGINT, "torch", marks=TORCH.marks),
        pytest.param(signal.SIGKILL, "torch", marks=TORCH.marks),
    ],
)
def test_a_stopped_search_goes_on_to_the_same_end(
    end: signal.Signals,
    engine: str,
    finished_runs: Callable[[str], Path],
    tiny_space: Path,
    tmp_path: Path,
) -> None:
    finished_run = finished_runs(engine)
    run = tmp_path / "run"
    command = [sys.executable, "-m", "nas_incep", "search", str(tiny_space), "--trials", "4"]
    command += ["--run", str(run), "--baseline", "cifar_resnet20_v1", *SEARCH, "--engine", engine]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # The tests may run in the background of a shell, where SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # Stop it in the middle of the third training.
    assert process.stderr
    for line in process.stderr:
        if line.startswith("trial 1 [Epoch 1]"):
            break
    process.send_signal(end)
    rest = process.communicate(timeout=60)[1]
    if end == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert f"to go on: nas-incep resume {run} --device cpu" in rest
        assert "Traceback" not in rest
    assert len(Run(run).records()) == 2  # the baseline and trial 0
    checkpoint = json.loads((run / "trials/000001.checkpoint/curve.json").read_text())
    again = ["resume", str(run), "--device", "cpu"]
    if end != signal.SIGKILL:
        again = shlex.split(rest.strip().rpartition("to go on: nas-incep ")[2])
    done = run_cli(*again)
    assert done.returncode == 0, done.stderr
    assert results(run) == results(finished_run)
    # The epoch that was there was not trained again: it still has the first process's time.
    record = next(r for r in Run(run).records() if r.subject.trial == 1)
    assert record.outcome.curve[0].train_seconds == checkpoint["curve"][0]["train_seconds"]
    assert not list(run.glob("trials/*.checkpoint"))


def test_sigterm_stops_a_search_started_in_the_background(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    """A shell without job control starts its background commands with SIGINT ignored."""
    command = [sys.executable, "-m", "nas_incep", "search", str(tiny_space), "--trials", "40"]
    command += ["--run", str(tmp_path / "r"), "--baseline", "none", *SEARCH, *slow_table]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if "Epoch 1" in line:
                break
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 130
