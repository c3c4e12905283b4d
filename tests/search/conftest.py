"""Runs of one worker, to which those of several are compared, and of each engine."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.commands import TRIALS, Options, command
from helpers.engines import ENGINES
from helpers.runs import trained


@pytest.fixture(scope="session")
def undisturbed(tiny_space: Path, table: Options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over a table, by one worker. Tests only read it."""
    run = tmp_path_factory.mktemp("runs") / "undisturbed"
    arguments = command(tiny_space, run, "--workers", 1, *table)
    subprocess.run(arguments, check=True, capture_output=True)
    assert len(trained(run)) == TRIALS
    return run


@pytest.fixture(params=ENGINES)
def run_by_engine(request: pytest.FixtureRequest, finished_runs: Callable[[str], Path]) -> Path:
    """The finished run of each engine. Tests only read it."""
    return finished_runs(request.param)


@pytest.fixture(scope="session")
def real(tiny_space: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A run of one worker that trains with an engine. Tests only read it."""

    @functools.cache
    def run_of(engine: str) -> Path:
        run = tmp_path_factory.mktemp("runs") / engine
        options = ("--engine", engine, "--workers", 1)
        subprocess.run(command(tiny_space, run, *options), check=True, capture_output=True)
        assert len(trained(run)) == TRIALS
        return run

    return run_of
