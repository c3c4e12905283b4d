"""Processes of this package do not see the working directory, whatever lies in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options

import nas_incep
from nas_incep._processes import own_command

# Modules that a user's folder may hold, and that end whoever imports them.
NAMES = ("random", "json", "mxnet", "numpy", "optuna", "nas_incep", "sitecustomize")
# The command as a console script starts it: with the script's folder first, not the working one.
SCRIPT = "import sys; sys.path.pop(0); from nas_incep.cli import main; main()"


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A working directory with a module of each of these names."""
    folder = tmp_path / "trapped"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name}.py was imported')\n")
    return folder


@pytest.fixture
def environment() -> dict[str, str]:
    """One in which the package is found wherever it is started."""
    return {**os.environ, "PYTHONPATH": str(Path(nas_incep.__file__).parents[1])}


def call(
    arguments: list[object], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
        env=environment,
    )


def test_the_traps_work(trapped: Path, environment: dict[str, str]) -> None:
    """`python -m` does look into the working directory."""
    done = subprocess.run(
        [sys.executable, "-m", "nas_incep", "--version"],
        capture_output=True, text=True, cwd=trapped, env=environment,
    )  # fmt: skip
    assert done.returncode == 1
    assert ".py was imported" in done.stderr


def test_a_command_of_our_own_does_not_see_the_working_directory(
    trapped: Path, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        own_command("spaces", "--format", "json"),
        capture_output=True, text=True, cwd=trapped, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "quick" in done.stdout


def test_it_sees_the_modules_that_this_process_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "click.py").write_text("raise SystemExit('that click')\n")
    done = subprocess.run(own_command("spaces"), capture_output=True, text=True)
    assert done.stderr == "that click\n"


def test_a_path_that_needs_quoting_is_carried_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / 'it\'s a "folder" \\ ☃'
    folder.mkdir()
    (folder / "click.py").write_text("raise SystemExit('that click')\n")
    monkeypatch.syspath_prepend(folder)
    done = subprocess.run(own_command("spaces"), capture_output=True, text=True)
    assert done.stderr == "that click\n"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_search_is_not_disturbed(
    workers: int,
    trapped: Path,
    environment: dict[str, str],
    tiny_space: Path,
    table: Options,
    tmp_path: Path,
) -> None:
    arguments = ["search", tiny_space, "--trials", 2, "--run", tmp_path / "run", *SEARCH, *table]
    arguments += ["--baseline", "none", "--workers", workers]
    done = call(arguments, trapped, environment)
    assert done.returncode == 0, done.stderr
    assert "2 complete" in done.stdout
    assert "was imported" not in done.stderr


def test_a_search_that_trains_is_not_disturbed(
    trapped: Path, environment: dict[str, str], tiny_space: Path, tmp_path: Path
) -> None:
    """Its workers import MXNet, and NumPy with it."""
    arguments = ["search", tiny_space, "--trials", 1, "--run", tmp_path / "run", *SEARCH]
    done = call([*arguments, "--baseline", "none", "--workers", 1], trapped, environment)
    assert done.returncode == 0, done.stderr
    assert "1 complete" in done.stdout


def test_verify_is_not_disturbed(
    trapped: Path, environment: dict[str, str], bundle: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    done = call(["verify", copy], trapped, environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("verified")
