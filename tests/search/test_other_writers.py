"""Another program that writes to the study of a run: a notebook, a dashboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from helpers.commands import SEARCH, TINY_SPACE, Options, run_cli
from optuna.trial import TrialState

from nas_incep.results.run import Run
from nas_incep.study.storage import open_storage

REFERENCE = {"b0.n1_1": 16, "b0.n2_3": 16, "b0.n4_1": 16, "batch_norm": True}


def begun(space: Path, run: Path, table: Options) -> list[object]:
    """Begins a run without training anything; the command that goes on with it."""
    # With the default seed, the sampler draws a network twice.
    command = ["search", space, "--run", run, "--baseline", "none", "--seed", 1, *SEARCH, *table]
    done = run_cli(*command, "--trials", 0)
    assert done.returncode == 0, done.stderr
    return command


def study_of(run: Path) -> optuna.Study:
    name = json.loads((run / "run.json").read_text())["study"]["name"]
    return optuna.load_study(study_name=name, storage=open_storage(Run(run).study_path))


@pytest.mark.parametrize(
    ("choices", "point"),
    [
        ("[8, 16]", {"b0.n1_1": 7}),  # a choice that is not there
        ("{low = 8, high = 16, step = 8}", {"b0.n1_1": 24}),  # a number beyond the range
        ("{low = 8, high = 16, step = 8}", {"b0.n1_1": 9}),  # one between the steps
    ],
)
def test_a_point_outside_the_space_ends_as_impossible(
    choices: str, point: dict[str, Any], table: Options, tmp_path: Path
) -> None:
    space, run = tmp_path / "space.toml", tmp_path / "run"
    space.write_text(TINY_SPACE.replace("n1_1 = [8, 16]", f"n1_1 = {choices}"))
    command = begun(space, run, table)
    study_of(run).enqueue_trial({**REFERENCE, **point})
    done = run_cli(*command, "--trials", 3)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    outcomes = [record.outcome for record in Run(run).records()]
    assert sorted(outcome.state for outcome in outcomes) == ["complete"] * 3 + ["impossible"]
    impossible = next(outcome for outcome in outcomes if outcome.state == "impossible")
    assert impossible.reason.startswith("outside the space: ")


def test_a_repetition_of_a_network_in_training_names_it_and_teaches_nothing(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = begun(tiny_space, run, slow_table)
    study_of(run).enqueue_trial(REFERENCE)  # the space's reference is enqueued already
    done = run_cli(*command, "--trials", 3, "--workers", 2, "--epochs", 2)
    assert done.returncode == 0, done.stderr
    repeated = Run(run).trial(1).read().outcome
    assert (repeated.state, repeated.duplicate_of) == ("duplicate", 0)
    assert repeated.reason == "the same network as trial 0"
    first, second = study_of(run).get_trials()[:2]
    assert first.state == TrialState.COMPLETE
    assert second.user_attrs["duplicate_of"] == 0
    # Either the first had ended, or nothing was known of it yet.
    assert second.state in (TrialState.FAIL, TrialState.COMPLETE)
    assert second.state == TrialState.FAIL or second.value == first.value
