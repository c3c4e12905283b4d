"""Small searches, each made once by the real command line, which many tests look at."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.commands import SEARCH, TINY_SPACE, run_cli
from hypothesis import settings

from nas_incep.engines import load_engine

pytest_plugins = ["helpers.servers", "helpers.browser", "helpers.tables"]

# Tiny networks gain nothing from a second thread, and tests may run beside one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Examples are not timed: beside other work any of them may take long.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests with the mark `gpu` run where a GPU is; `pytest -m gpu` chooses them."""
    if item.get_closest_marker("gpu"):
        pytest.importorskip("torch")
        if not load_engine("torch").count_gpus():
            pytest.skip("there is no GPU that PyTorch can use")


@pytest.fixture(scope="session")
def tiny_space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "tiny.toml"
    path.write_text(TINY_SPACE)
    return path


@pytest.fixture(scope="session")
def finished_runs(
    tiny_space: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """By an engine's name, its run of four candidates and one baseline. Tests only read it."""

    @functools.cache
    def run_by(engine: str) -> Path:
        path = tmp_path_factory.mktemp("runs") / "first"
        arguments = ("--trials", 4, "--run", path, "--baseline", "cifar_resnet20_v1")
        done = run_cli("search", tiny_space, *arguments, *SEARCH, "--engine", engine)
        assert done.returncode == 0, done.stderr
        return path

    return run_by


@pytest.fixture(scope="session")
def finished_run(finished_runs: Callable[[str], Path]) -> Path:
    """That of Gluon."""
    return finished_runs("gluon")


@pytest.fixture(scope="session")
def table_run(
    tiny_space: Path, table: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Likewise, but answered from a table. Tests only read it."""
    path = tmp_path_factory.mktemp("runs") / "table"
    arguments = ("--trials", 4, "--run", path, "--baseline", "cifar_resnet20_v1")
    done = run_cli("search", tiny_space, *arguments, *SEARCH, *table)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="session")
def bundle(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported best candidate of that run. Tests only read it."""
    path = tmp_path_factory.mktemp("bundles") / "best"
    done = run_cli("export", finished_run, path)
    assert done.returncode == 0, done.stderr
    return path
