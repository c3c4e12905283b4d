"""Files of released versions: opened, gone on with and verified by this one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import SEARCH, run_cli

import nas_incep
from nas_incep.results.run import Run

RELEASED = Path(__file__).parent / "fixtures" / "0.1.0"
RUNS = ("finished", "pruned", "whole", "limits")
# With what they were searched, the common options apart.
OPTIONS = {
    "finished": "--baseline cifar_resnet20_v1",
    "pruned": "--baseline none --sampler random --pruner sha --reduction 2",
    "limits": "--baseline none --sampler random --objective accuracy,latency --max-params 9000",
}
# The recipe `brief` of that version, which had no finals.
OLD = ("--optimizer", "sgd", "--lr", "0.1", "--finals", "none")


def since(row: dict[str, Any]) -> dict[str, Any]:
    """Columns that did not exist yet, and what they are for an old record: of one seed."""
    complete = row["state"] == "complete"
    unknown = ("standard_error", "rank_low", "rank_high", "tied_with_best", "tie_group")
    return {
        "engine": "gluon",
        "mean_accuracy": row["val_accuracy"] if complete else None,
        "mean_epochs": row["epochs"] if complete else None,
        "seeds": 1 if complete else None,
        **dict.fromkeys(unknown),
        **dict.fromkeys(("chosen_by", "reported_by"), "search" if complete else None),
    }


@pytest.fixture
def old(tmp_path: Path) -> Any:
    """Copies an old folder, so that a test may go on with it."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(RELEASED / name, tmp_path / name))

    return copy


def rows(run: Path) -> list[dict[str, Any]]:
    done = run_cli("leaderboard", run, "--format", "json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", RUNS)
def test_an_old_run_has_the_ranking_that_it_had(name: str) -> None:
    expected = json.loads((RELEASED / f"{name}.leaderboard.json").read_text())
    assert rows(RELEASED / name) == [{**row, **since(row)} for row in expected]


@pytest.mark.parametrize("name", OPTIONS)
def test_an_old_run_is_gone_on_with(name: str, old: Any) -> None:
    run = old(name)
    before = {row["trial"]: row for row in rows(run)}
    trials = sum(trial is not None for trial in before) + 1
    arguments = ("--run", run, "--trials", trials, *OPTIONS[name].split(), *SEARCH, *OLD)
    done = run_cli("search", RELEASED / "tiny.toml", *arguments)
    assert done.returncode == 0, done.stderr
    assert "made again" not in done.stderr  # its journal agrees with its records
    after = {row["trial"]: row for row in rows(run)}
    assert len(after) == len(before) + 1

    def without_rank(row: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in row.items() if key not in ("rank", "pareto")}

    assert all(without_rank(after[trial]) == without_rank(before[trial]) for trial in before)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_old_run_is_resumed_by_its_folder_alone(name: str, old: Any) -> None:
    """The baselines that an old run was asked for are those that it has trained."""
    run = old(name)
    before = rows(run)
    trained = [row["name"] for row in before if row["kind"] == "baseline"]
    assert list(Run(run).config().request.baselines) == trained
    trials = len(before) - len(trained) + 1
    done = run_cli("resume", run, "--trials", trials, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    after = rows(run)
    assert len(after) == len(before) + 1
    assert [row["name"] for row in after if row["kind"] == "baseline"] == trained


def test_an_old_study_keeps_its_categories(old: Any, tmp_path: Path) -> None:
    """Also with its lists written as ranges, which is the same space."""
    text = (RELEASED / "tiny.toml").read_text()
    assert "[8, 16]" in text
    (tmp_path / "ranges.toml").write_text(
        text.replace("[8, 16]", "{ low = 8, high = 16, step = 8 }")
    )
    run = old("pruned")
    before = [row["trial"] for row in rows(run)]
    arguments = (
        "--run",
        run,
        "--trials",
        len(before) + 1,
        *OPTIONS["pruned"].split(),
        *SEARCH,
        *OLD,
    )
    done = run_cli("search", tmp_path / "ranges.toml", *arguments)
    assert done.returncode == 0, done.stderr
    assert len(rows(run)) == len(before) + 1
    assert '"ordered_lists": false' in (run / "run.json").read_text()


def test_another_search_in_an_old_folder_is_refused_with_the_differences(old: Any) -> None:
    done = run_cli("search", RELEASED / "tiny.toml", "--run", old("finished"), *SEARCH, "--seed", 7)
    assert done.returncode == 2
    assert "seed was 0, now 7" in done.stderr


def test_a_run_that_was_killed_goes_on_to_the_end_of_one_that_was_not(old: Any) -> None:
    """Its checkpoint holds a pickle, which is not opened: that training begins anew, and from
    initial values of this version, as do those after it."""
    run = old("cut")
    done = run_cli(
        *("search", RELEASED / "tiny.toml", "--run", run, "--trials", 4, "--baseline", "none"),
        *(*SEARCH, "--epochs", 4, *OLD),
    )
    assert done.returncode == 0, done.stderr
    ours, theirs = Run(run).records(), Run(RELEASED / "whole").records()
    assert [r.subject.name for r in ours] == [r.subject.name for r in theirs]
    assert [r.subject.seed for r in ours] == [r.subject.seed for r in theirs]
    assert [r.outcome.state for r in ours] == [r.outcome.state for r in theirs]
    assert [r.epochs for r in ours] == [r.epochs for r in theirs]
    # The finished ones stay as they were.
    for mine, other in zip(ours[:2], theirs):
        losses = [point.loss for point in other.outcome.curve]
        assert [point.loss for point in mine.outcome.curve] == pytest.approx(losses, rel=0.05)
    assert not list(run.glob("trials/*.checkpoint"))


def test_an_old_bundle_is_verified_and_loaded(old: Any) -> None:
    done = run_cli("verify", RELEASED / "bundle")
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("verified")
    from nas_incep.engines.gluon.runtime import mx

    network = nas_incep.load(RELEASED / "bundle")
    scores = network(mx.nd.zeros((2, 1, 8, 8))).asnumpy()
    assert scores.shape == (2, 10) and np.isfinite(scores).all()


def test_an_old_run_is_exported(tmp_path: Path) -> None:
    done = run_cli("export", RELEASED / "finished", tmp_path / "best")
    assert done.returncode == 0, done.stderr
    ours, theirs = tmp_path / "best", RELEASED / "bundle"
    for name in ("architecture.json", "weights.params"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    assert run_cli("verify", ours).returncode == 0
