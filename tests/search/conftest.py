"""A run of one worker, to which those of several are compared."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from helpers.commands import TRIALS, Options, command
from helpers.runs import trained


@pytest.fixture(scope="session")
def undisturbed(tiny_space: Path, table: Options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over a table, by one worker. Tests only read it."""
    run = tmp_path_factory.mktemp("runs") / "undisturbed"
    arguments = command(tiny_space, run, "--workers", 1, *table)
    subprocess.run(arguments, check=True, capture_output=True)
    assert len(trained(run)) == TRIALS
    return run
