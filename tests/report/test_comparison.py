"""Runs side by side, where that is fair."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.commands import run_cli
from report.conftest import networks, write_run

from nas_incep.recipe import get_recipe
from nas_incep.report.comparison import Compared, compare, sentences
from nas_incep.report.contents import read_contents
from nas_incep.results.run import Run


def compared(*runs: Run) -> list[Compared]:
    return compare([read_contents(run) for run in runs])


@pytest.fixture
def first(tmp_path: Path) -> Run:
    return write_run(tmp_path / "first", networks("complete", "complete", "failed"))


def test_a_fair_comparison_says_what_was_varied(first: Run, tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", networks("complete"), sampler="random", seed=7)
    one, two = compared(first, other)
    assert two.obstacles == ()
    assert two.differences == ("sampler is random, not tpe", "seed is 7, not 0")
    assert (one.best_accuracy, two.best_accuracy) == (pytest.approx(0.53), 0.5)
    assert one.mean_accuracy == pytest.approx(0.515)
    assert one.best_baseline == 0.61
    assert one.counts == {"complete": 2, "failed": 1}
    assert one.images == 2 * 2 * 100 + 2 * 100  # two candidates and a baseline, two epochs each


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"recipe": get_recipe("brief", epochs=7)}, "recipe.epochs is 7, not 3"),
        ({"dataset": "cifar10"}, "dataset is cifar10, not digits"),
        ({"trials": 9}, "trials is 9, not 4"),
        ({"precision": "bfloat16"}, "precision is bfloat16, not float32"),
    ],
)
def test_an_unfair_comparison_is_refused_with_the_reason(
    changes: dict[str, object], why: str, first: Run, tmp_path: Path
) -> None:
    other = write_run(tmp_path / "other", networks("complete"), **changes)
    runs = compared(first, other)
    assert runs[1].obstacles == (why,)
    assert sentences(runs) == [f"{other.path} cannot be compared with {first.path}: {why}"]


def test_the_command_prints_a_table_and_json(first: Run, tmp_path: Path) -> None:
    same = write_run(tmp_path / "same", networks("complete"), seed=3)
    other = write_run(tmp_path / "other", networks("complete"), trials=9)
    done = run_cli("compare", first.path, same.path, other.path)
    assert done.returncode == 0, done.stderr
    table, _, said = done.stdout.partition("images trained")
    assert "0.5300" in table and "0.5000" in table
    assert f"{same.path} differs from {first.path}: seed is 3, not 0" in said
    assert f"{other.path} cannot be compared" in said and "other" not in table
    done = run_cli("compare", first.path, other.path, "--format", "json")
    assert [run["comparable"] for run in json.loads(done.stdout)] == [True, False]


def test_one_run_is_too_few(first: Run) -> None:
    done = run_cli("compare", first.path)
    assert done.returncode == 2
    assert done.stderr.endswith("first: two or more runs are expected\n")
