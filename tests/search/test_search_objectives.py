"""Searches for several objectives, and by latency, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, run_cli
from helpers.runs import rows

from nas_incep.results.run import Run


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_search_for_two_objectives_gives_a_front(
    sampler: str, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = run_cli(
        "search", tiny_space, "--trials", 6, "--run", run, "--baseline", "cifar_resnet20_v1",
        "--objective", "accuracy,macs", "--sampler", sampler, *SEARCH, *table,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "on the front of accuracy and macs" in done.stdout
    found = rows(run)
    points = [(row["val_accuracy"], row["macs"]) for row in found]
    for row, (accuracy, macs) in zip(found, points):
        dominated = any(
            a >= accuracy and m <= macs and (a, m) != (accuracy, macs) for a, m in points
        )
        assert row["pareto"] is not dominated
    assert [row["pareto"] for row in found] == sorted((r["pareto"] for r in found), reverse=True)
    # A member of the front that is not the most accurate can be exported by its rank.
    candidates = [row for row in found if row["kind"] == "candidate"]
    last = [row for row in candidates if row["pareto"]][-1]
    done = run_cli("export", run, tmp_path / "b", "--rank", last["rank"])
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "b" / "architecture.json").read_text())
    assert manifest["blocks"] == last["blocks"]


@pytest.mark.parametrize("engine", ["gluon", "table"])
def test_latency_is_an_objective(
    engine: str, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = run_cli(
        "search", tiny_space, "--trials", 2, "--run", run, "--baseline", "none",
        "--objective", "accuracy,latency", *SEARCH, *(table if engine == "table" else ()),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(0 < row["latency_ms"] < 1000 for row in rows(run))
    assert "latency ms" in run_cli("leaderboard", run).stdout


def test_what_is_too_slow_is_not_trained(tiny_space: Path, table: Options, tmp_path: Path) -> None:
    """The limit is far below what any network can do, so that the clock decides nothing."""
    run = tmp_path / "run"
    done = run_cli(
        "search", tiny_space, "--trials", 2, "--run", run, "--baseline", "none",
        "--max-latency-ms", "0.0001", "--sampler", "grid", *SEARCH, *table,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "is exhausted: all 16 architectures were tried" in done.stderr
    records = Run(run).records()
    assert {record.outcome.state for record in records} == {"over budget"}
    assert all(
        "max_latency_ms is 0.0001" in r.outcome.reason and not r.outcome.curve for r in records
    )
    assert all((record.outcome.latency_ms or 0) > 0.0001 for record in records)


def test_latency_is_measured_on_request_alone(finished_run: Path, tmp_path: Path) -> None:
    assert all(row["latency_ms"] is None for row in rows(finished_run))
    assert "latency" not in run_cli("leaderboard", finished_run).stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--objective", "macs"), "--objective 'macs'"),
        (("--objective", "accuracy,speed"), "--objective"),
        (("--objective", "accuracy,macs", "--pruner", "sha"), "only --objective accuracy"),
        (("--objective", "accuracy,macs", "--sampler", "evolution"), "nsga2"),
    ],
)
def test_objectives_that_cannot_be_are_refused(
    options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = run_cli("search", "quick", "--run", tmp_path / "r", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "r").exists()
