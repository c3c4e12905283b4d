"""`describe` of a run's candidates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.commands import run_cli


def test_the_candidate_of_a_rank_or_a_trial_is_described(table_run: Path) -> None:
    rows = json.loads(run_cli("leaderboard", table_run, "--format", "json").stdout)
    best = next(row for row in rows if row["kind"] == "candidate")
    options = {(): best}
    for row in rows:
        options["--rank", row["rank"]] = row
        if row["trial"] is not None:
            options["--trial", row["trial"]] = row
    for arguments, row in options.items():
        done = run_cli("describe", table_run, *arguments, "--format", "json")
        if row["kind"] == "baseline":
            assert done.returncode == 2
            assert "baseline cifar_resnet20_v1 has no blocks to describe" in done.stderr
            continue
        facts = json.loads(done.stdout)
        assert (facts["identity"], facts["architecture"]["blocks"]) == (row["name"], row["blocks"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rank", 99], "has ranks 1 to 5, not 99"),
        (["--trial", 99], "has no trained trial 99"),
        (["--rank", 1, "--trial", 1], "only one of them can be given"),
    ],
)
def test_a_choice_that_is_none_is_said(
    arguments: list[object], message: str, table_run: Path
) -> None:
    done = run_cli("describe", table_run, *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_only_a_run_has_ranks(tmp_path: Path) -> None:
    done = run_cli("describe", tmp_path, "--rank", 1)
    assert done.returncode == 2
    assert "not a run folder" in done.stderr
