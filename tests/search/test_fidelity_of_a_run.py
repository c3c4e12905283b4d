"""The check of a ranking by the real command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, killed_at, run_cli

from nas_incep.records import FIDELITY
from nas_incep.results.run import Run

CHECK = ("--networks", 3, "--top", 2, "--times", 2)


@pytest.fixture(scope="module")
def run(tiny_space: Path, table: Options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fidelity") / "run"
    options = ("--trials", 6, "--baseline", "none", "--finals", "none", "--workers", 0, *SEARCH)
    done = run_cli("search", tiny_space, "--run", path, *options, *table)
    assert done.returncode == 0, done.stderr
    return path


def test_a_run_is_checked_and_goes_on_after_a_kill(run: Path) -> None:
    before = run_cli("leaderboard", run, "--format", "json").stdout
    words = ["fidelity", str(run), *map(str, CHECK), "--workers", "0"]
    assert killed_at(3, "after", words, "replace")
    done = run_cli(*words, "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # The table has one curve for each network, so its seeds agree.
    assert found["ceiling"] == 1
    assert found["networks"] == 5
    assert found["candidates"] == 6
    assert set(found["floors"]) == {"MACs", "parameters", "first epoch", "sum of losses"}
    records = Run(run).reruns(stages=(FIDELITY,))
    assert {record.epochs for record in records} == {4}
    assert len(records) == 10
    # The long trainings say nothing of the ranking itself.
    assert run_cli("leaderboard", run, "--format", "json").stdout == before


def test_too_few_candidates_are_told_before_anything_is_trained(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    options = ("--trials", 2, "--baseline", "none", "--finals", "none", "--workers", 0, *SEARCH)
    path = tmp_path / "run"
    assert run_cli("search", tiny_space, "--run", path, *options, *table).returncode == 0
    done = run_cli("fidelity", path, *CHECK, "--workers", 0)
    assert done.returncode == 2
    assert done.stderr.endswith(
        f"{path}: fidelity needs 4 candidates or more, and the run has 2: --trials asks for more\n"
    )
    assert not Run(path).reruns(stages=(FIDELITY,))


def test_the_figures_are_printed_again_at_once(run: Path) -> None:
    done = run_cli("fidelity", run, *CHECK, "--workers", 0)
    assert done.returncode == 0, done.stderr
    assert "Kendall's tau" in done.stdout
    assert "one long seed with another (ceiling)" in done.stdout
    assert "points behind the best" in done.stdout


def test_another_length_is_refused(run: Path) -> None:
    done = run_cli("fidelity", run, *CHECK[:-1], 3)
    assert done.returncode == 2
    assert "its fidelity has begun with 4 epochs, not 6" in done.stderr
    assert "set these trainings aside by fidelity --anew" in done.stderr


def test_a_check_begins_anew_and_the_earlier_one_is_kept(run: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(run, tmp_path / "own"))
    assert run_cli("fidelity", own, *CHECK, "--workers", 0).returncode == 0
    before = {path.name: path.read_bytes() for path in (own / "fidelity").glob("*.json")}
    done = run_cli("fidelity", own, *CHECK[:-1], 3, "--workers", 0, "--anew", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "trainings of 4 epochs are set aside: fidelity.earlier\n" in done.stderr
    assert {record.epochs for record in Run(own).reruns(stages=(FIDELITY,))} == {6}
    kept = {path.name: path.read_bytes() for path in (own / "fidelity.earlier").glob("*.json")}
    assert kept == before
    # The other way round, they are set aside in turn.
    back = run_cli("fidelity", own, *CHECK, "--workers", 0, "--anew")
    assert back.returncode == 0 and "fidelity.earlier1" in back.stderr
