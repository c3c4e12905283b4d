"""One small real search, made once by the real command line, which many tests look at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["services"]

# Tiny networks gain nothing from a second thread, and tests may run beside one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TINY_SPACE = """
format = "nas-incep-space"
version = 1
description = "tiny networks for tests"
blocks = 1
[parameters]
num_convs = 1
n1_1 = [8, 16]
n2_1 = 8
n2_3 = [8, 16]
n3_1 = 8
n3_5 = 8
n4_1 = [8, 16]
[variants]
batch_norm = [true, false]
[[reference]]
blocks = [[1, 16, 8, 16, 8, 8, 16]]
batch_norm = true
"""
SEARCH = ("--epochs", "2", "--batch-size", "32", "--images-per-epoch", "320", "--device", "cpu")


def run_cli(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The real command line in a process of its own."""
    options.setdefault("env", {**os.environ, "COLUMNS": "200"})
    return subprocess.run(
        [sys.executable, "-m", "nas_incep", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


@pytest.fixture(scope="session")
def tiny_space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "tiny.toml"
    path.write_text(TINY_SPACE)
    return path


@pytest.fixture(scope="session")
def finished_run(tiny_space: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four candidates and one baseline. Tests only read it."""
    path = tmp_path_factory.mktemp("runs") / "first"
    done = run_cli(
        "search",
        tiny_space,
        "--trials",
        4,
        "--run",
        path,
        "--baseline",
        "cifar_resnet20_v1",
        *SEARCH,
    )
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="session")
def bundle(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported best candidate of that run. Tests only read it."""
    path = tmp_path_factory.mktemp("bundles") / "best"
    done = run_cli("export", finished_run, path)
    assert done.returncode == 0, done.stderr
    return path
