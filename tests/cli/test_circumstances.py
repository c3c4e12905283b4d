"""Quotas of containers, Ctrl-C at any time, terminals without Unicode, a run that is moved away."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from helpers.commands import Options, command, meddled, run_cli, started, wait_for

from nas_incep._machine import usable_cpus

ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, ALL),
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "max 100000"}, ALL),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, ALL),
        ({"cpu/cpu.cfs_quota_us": "100000"}, ALL),
        (
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            1,
        ),
        ({"cpu/cpu.cfs_quota_us": "99900000", "cpu/cpu.cfs_period_us": "100000"}, ALL),
    ],
)
def test_a_quota_of_either_version_counts(files: dict[str, str], cpus: int, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_cpus(tmp_path) == cpus


@pytest.mark.parametrize("module", ["click", "signal"])
def test_an_interrupt_during_the_imports_shows_no_traceback(module: str, tmp_path: Path) -> None:
    code = f"""
import builtins, os, signal, sys
imported = builtins.__import__
def interrupted(name, *arguments, **options):
    if name == {module!r} and "nas_incep.cli" in sys.modules:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.kill(os.getpid(), signal.SIGINT)
    return imported(name, *arguments, **options)
builtins.__import__ = interrupted
"""
    done = run_cli("leaderboard", tmp_path, env=meddled(tmp_path, code))
    assert done.returncode == 130
    assert done.stderr == ""


def test_a_terminal_without_unicode_is_enough(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    run, space = tmp_path / "r\u00fcn", tmp_path / "\u7a7a\u9593.toml"
    space.write_text(tiny_space.read_text().replace("tiny networks", "t\u00efny"), encoding="utf-8")
    done = run_cli(
        "search", space, "--run", run, "--trials", 1, "--baseline", "none", "--workers", 1,
        "--device", "cpu", "--epochs", 1, *table, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for arguments in (
        ("leaderboard", run),
        ("leaderboard", run, "--format", "csv"),
        ("export", run, tmp_path / "b\u00fcndle"),
        ("spaces", space),
        ("describe", tmp_path / "b\u00fcndle"),
        ("data",),
    ):
        done = run_cli(*arguments, env=environment)
        assert done.returncode == 0, done.stderr
    done = run_cli("leaderboard", tmp_path / "\u00fc", env=environment)
    assert done.returncode == 2 and "not a run folder" in done.stderr


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_is_moved_away_is_told_and_resumed(
    workers: int, tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run, moved = tmp_path / "run", tmp_path / "moved"
    options = ("--workers", workers, "--trials", 2, *slow_table)
    with started(command(tiny_space, run, *options)) as process:
        wait_for(process, r"^trial 0 \[Epoch 2\]")
        run.rename(moved)
        said = process.communicate(timeout=100)[1]
    assert process.returncode == 2, said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == (
        f"nas-incep: {run}: the run folder was moved or deleted while it was searched; "
        "nas-incep resume with its new path goes on"
    )
    assert not run.exists()
    done = subprocess.run(command(tiny_space, moved, *options), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
