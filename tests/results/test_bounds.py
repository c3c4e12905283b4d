"""Numbers in files and options that are too large to compute with."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import run_cli
from helpers.records import a_config, record

from nas_incep.errors import InputError
from nas_incep.records import COMPLETE, PRUNED, TrialRecord, from_json
from nas_incep.results import config, leaderboard
from nas_incep.results.pruning import Pruning


def with_seconds(seconds: float) -> TrialRecord:
    value = record(0, COMPLETE, 0.5, 0.6).to_json()
    for point in value["curve"]:
        point["train_seconds"] = seconds
    return from_json(value, "it")


@pytest.mark.parametrize("seconds", [0.0, 5e-324, 1e15])
def test_a_leaderboard_is_json_whatever_times_a_record_has(seconds: float) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    (row,) = json.loads(
        json.dumps(leaderboard.rows([with_seconds(seconds)])), parse_constant=refuse
    )
    assert row["train_seconds"] == 2 * seconds


def test_times_whose_sum_would_be_infinite_are_refused() -> None:
    with pytest.raises(InputError, match=r"it: curve\[0\]\.train_seconds is 1e\+308: a number <= "):
        with_seconds(1e308)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "images_per_epoch"])
def test_counts_of_a_recipe_are_bounded(name: str) -> None:
    value = record(0, PRUNED, 0.5).to_json()
    value["recipe"] = {**value["recipe"], "images_per_epoch": 10**9, name: int("9" * 4299)}
    with pytest.raises(InputError, match=rf"{name} is 9*: at most 1,000,000(,000)? is expected"):
        from_json(value, "it")


@pytest.mark.parametrize("name", ["sha", "hyperband"])
def test_rungs_of_a_long_training_are_found_at_once(name: str) -> None:
    started = time.process_time()
    assert Pruning(name, 1, 3).rungs(1_000_000, 0)[-1] == 3**12
    assert time.process_time() - started < 1


@pytest.mark.parametrize("change", [{"first_rung": 10**7}, {"reduction": 10**400}])
def test_a_pruners_numbers_are_bounded(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="at most 1,000,000 is expected"):
        Pruning("hyperband", **change)


def test_a_seed_is_one_that_can_be_read_again() -> None:
    largest = a_config(seed=2**63 - 1)
    assert config.from_json(json.loads(json.dumps(largest.to_json())), "it") == largest
    done = run_cli("search", "quick", "--run", "never", "--seed", 2**63, "--engine", "gluon")
    assert done.returncode == 2
    assert done.stderr == (
        "nas-incep: Invalid value for '--seed': 9223372036854775808 is too large: at most "
        "9223372036854775807 is expected (see nas-incep search --help)\n"
    )


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--max-macs", 2**63, "9223372036854775808 is too large: at most 9223372036854775807"),
        ("--max-params", 10**30, f"{10**30} is too large: at most 9223372036854775807"),
        ("--workers", 10**23, f"--workers {10**23}: a number up to 1000 or auto is expected"),
        ("--workers", 1001, "--workers 1001: a number up to 1000 or auto is expected"),
    ],
)
def test_an_option_beyond_all_bounds_writes_no_run(
    option: str, value: int, words: str, tmp_path: Path
) -> None:
    done = run_cli("search", "quick", "--run", tmp_path / "run", option, value)
    assert done.returncode == 2
    assert words in done.stderr
    assert not (tmp_path / "run").exists()
