"""Every option that is a number takes only finite ones."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import click
import pytest
from helpers.commands import Options, command, run_cli

from nas_incep.cli import program

NUMBERS = [
    (name, parameter.opts[0], isinstance(parameter.type, click.types.FloatParamType))
    for name, one in program.commands.items()
    for parameter in one.params
    if isinstance(parameter.type, (click.types.IntParamType, click.types.FloatParamType))
]


@pytest.mark.parametrize(("name", "option", "is_real"), NUMBERS)
def test_only_finite_numbers_are_taken(name: str, option: str, is_real: bool) -> None:
    values = ["nan", "inf", "-inf", "1e999"]
    if not is_real:
        values.append(str(2**63))
    for value in values:
        with pytest.raises(click.BadParameter) as refused:
            program.main([name, f"{option}={value}"], standalone_mode=False)
        assert option in refused.value.format_message()


def test_a_time_limit_that_is_no_number_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = run_cli("search", "quick", "--run", tmp_path / "run", "--trial-timeout", "nan")
    assert done.returncode == 2
    sentence = "nas-incep: Invalid value for '--trial-timeout': nan is not a finite number"
    assert done.stderr.startswith(sentence) and done.stderr.count("\n") == 1


def test_a_number_of_workers_is_bounded(tmp_path: Path) -> None:
    for workers in ("1001", "9" * 5000):
        done = run_cli("search", "quick", "--run", tmp_path / "run", "--workers", workers)
        assert done.returncode == 2
        assert "a number up to 1000 or auto is expected" in done.stderr


def test_what_helps_nothing_is_told_and_done(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    threads = len(os.sched_getaffinity(0)) + 3
    options = ("--epochs", 3, "--pruner", "sha", "--first-rung", 5, "--threads", threads, *table)
    arguments = command(tiny_space, tmp_path / "run", "--workers", 0, *options)
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("--pruner sha stops no training: it decides from epoch 5 on") == 1
    assert done.stderr.count(f"--threads {threads}: there are only ") == 1
    # Where both help, nothing is said.
    options = ("--epochs", 3, "--pruner", "sha", "--threads", 1, *table)
    arguments = command(tiny_space, tmp_path / "other", "--workers", 0, *options)
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert "--pruner" not in done.stderr and "--threads" not in done.stderr
