"""What ends a search early, or keeps a sample from being trained: time, costs, the space's size."""

from __future__ import annotations

from pathlib import Path

from helpers.commands import SEARCH, TINY_SPACE, Options, run_cli
from helpers.runs import rows

from nas_incep.results.run import Run


def test_the_time_limit_ends_a_search_cleanly(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    command = ["search", tiny_space, "--trials", 2, "--run", tmp_path / "r", "--baseline", "none"]
    done = run_cli(*command, *SEARCH, *table, "--timeout", 0.0001)
    assert done.returncode == 0, done.stderr
    assert f"have passed; to go on: nas-incep resume {tmp_path / 'r'} --device cpu" in done.stderr
    assert rows(tmp_path / "r") == []
    done = run_cli("resume", tmp_path / "r", "--device", "cpu")
    assert len(rows(tmp_path / "r")) == 2, done.stderr


def test_a_training_out_of_time_is_an_outcome(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    command = ["search", tiny_space, "--trials", 2, "--run", tmp_path / "r", "--baseline", "none"]
    done = run_cli(*command, *SEARCH, *table, "--trial-timeout", 0.0001)
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in rows(tmp_path / "r")] == ["timed out"] * 2
    assert "2 timed out" in done.stdout


def test_a_baseline_that_ran_out_of_time_is_tried_again(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ["search", tiny_space, "--trials", 0, "--run", run, *SEARCH, *table]
    command += ["--baseline", "cifar_resnet20_v1"]
    assert run_cli(*command, "--trial-timeout", 0.0001).returncode == 0
    assert [row["state"] for row in rows(run)] == ["timed out"]
    assert run_cli(*command).returncode == 0
    assert [row["state"] for row in rows(run)] == ["complete"]


def test_an_exhausted_space_ends_the_search_and_says_so(table: Options, tmp_path: Path) -> None:
    space = tmp_path / "two.toml"
    space.write_text(TINY_SPACE.replace("[8, 16]", "16"))  # only batch_norm is left to choose
    run = tmp_path / "run"
    done = run_cli(
        "search",
        space,
        "--trials",
        9,
        "--run",
        run,
        "--baseline",
        "none",
        "--sampler",
        "random",
        *SEARCH,
        *table,
    )
    assert done.returncode == 0, done.stderr
    assert "all 2 architectures were tried" in done.stderr
    trained = [row["name"] for row in rows(run)]
    assert len(trained) == 2


def test_over_budget_samples_are_not_trained(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    limit = 9000
    done = run_cli(
        "search",
        tiny_space,
        "--trials",
        2,
        "--run",
        run,
        "--baseline",
        "none",
        "--max-params",
        limit,
        *SEARCH,
        *table,
    )
    assert done.returncode == 0, done.stderr
    outcomes = [record.outcome for record in Run(run).records()]
    assert all((o.parameters or 0) <= limit for o in outcomes if o.curve)
    over = [o for o in outcomes if o.state == "over budget"]
    assert over and all((o.parameters or 0) > limit and not o.curve for o in over)
    assert f"max_params is {limit:,}" in over[0].reason


def test_a_space_with_nothing_for_the_images_is_refused_before_anything(tmp_path: Path) -> None:
    words = ("nin_cifar", "--dataset", "digits", "--run", tmp_path / "r", "--max-macs", 1000)
    done = run_cli("search", *words)
    assert done.returncode == 2
    assert "max_macs is 1,000, but on digits its architectures have" in done.stderr
    assert not (tmp_path / "r").exists()
