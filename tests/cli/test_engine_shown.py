"""Which engine computes, and which one has trained: commands say it."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from helpers.commands import run_cli
from helpers.engines import TORCH

from nas_incep.engines import choose_engine

BLOCKS = "[[1, 8, 8, 8, 8, 8, 8]]"


def test_the_leaderboard_says_the_engine_in_each_form(table_run: Path) -> None:
    table = run_cli("leaderboard", table_run).stdout
    heading = table.splitlines()[0]
    assert re.search(r", engine table:\S+, cpu, 1 thread$", heading), heading
    rows = json.loads(run_cli("leaderboard", table_run, "--format", "json").stdout)
    assert {row["engine"].partition(":")[0] for row in rows} == {"table"}
    text = run_cli("leaderboard", table_run, "--format", "csv").stdout
    assert [row["engine"] for row in csv.DictReader(io.StringIO(text))] == [
        row["engine"] for row in rows
    ]


def test_probe_says_which_engine_auto_is(tmp_path: Path) -> None:
    arguments = ("probe", BLOCKS, "--images", 8, "--device", "cpu", "--format", "json")
    done = run_cli(*arguments)
    assert done.returncode == 0, done.stderr
    name, reason = choose_engine("cpu")
    assert done.stderr.splitlines() == [f"--engine auto: {name} ({reason})"]
    assert json.loads(done.stdout)
    assert "--engine" not in run_cli(*arguments, "--engine", name).stderr


@pytest.mark.parametrize("trained_by", ["gluon", TORCH])
def test_retrain_says_which_engine_auto_is(
    trained_by: str, finished_run: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    options = ("--epochs", 1, "--images-per-epoch", 32, "--batch-size", 32, "--device", "cpu")
    done = run_cli("retrain", finished_run, first, *options, "--engine", trained_by, "-q")
    assert done.returncode == 0 and "--engine" not in done.stderr, done.stderr
    done = run_cli("retrain", first, second, *options)
    assert done.returncode == 0, done.stderr
    name, reason = choose_engine("cpu", trained_by)
    assert done.stderr.splitlines()[0] == f"--engine auto: {name} ({reason})"
    assert json.loads((second / "manifest.json").read_text())["engine"] == name


@pytest.mark.parametrize("command", ["verify", "evaluate", "retrain"])
def test_help_says_that_auto_is_the_engine_that_trained_the_network(command: str) -> None:
    text = " ".join(run_cli(command, "--help").stdout.split())
    assert "auto: the engine that trained the network where it is installed" in text
    assert "the engine that trained" not in run_cli("search", "--help").stdout
