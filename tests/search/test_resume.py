"""Kills a search at its every kind of write, again and again, and expects nothing to change."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import KILLER, SEARCH
from helpers.runs import results


@pytest.mark.parametrize("chance", [0, 1])
def test_any_number_of_kills_changes_nothing(
    chance: int, finished_run: Path, tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = ["search", str(tiny_space), "--trials", "4", "--run", str(run)]
    # No worker process of its own: every write is this process's.
    arguments += ["--baseline", "cifar_resnet20_v1", *SEARCH, "--workers", "0"]
    rng = random.Random(chance)
    kills = 0
    while True:
        # The first time in the very first write, then anywhere.
        n, moment = rng.randint(1, 14) if kills else 1, rng.choice(["before", "after"])
        command = [sys.executable, "-c", KILLER, str(n), moment, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
        assert kills < 60, "the search does not get on"
    assert kills >= 4
    assert results(run) == results(finished_run)
    assert not [path for path in run.rglob("*") if path.suffix in (".tmp", ".checkpoint")]
