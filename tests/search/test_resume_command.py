"""`nas-incep resume`: a run folder alone is enough to go on with a search."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, run_cli
from helpers.runs import results, rows
from helpers.tables import BASELINE

from nas_incep.results.run import Run
from nas_incep.search.slots import Means
from nas_incep.search.start import resume_command


@pytest.fixture
def run(table_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run of four candidates, to go on with."""
    return Path(shutil.copytree(table_run, tmp_path / "a run"))


def test_a_finished_run_takes_more_trials_and_keeps_what_it_has(run: Path) -> None:
    before = results(run)
    done = run_cli("resume", run, "--trials", 6)
    assert done.returncode == 0, done.stderr
    assert results(run)[: len(before)] == before
    states = [state for trial, _, state, _, _ in results(run) if trial is not None]
    assert states.count("complete") == 6
    assert Run(run).config().request.trials == 6
    assert "accuracy" in done.stdout


def test_a_search_that_had_no_time_trains_the_baselines_that_it_was_asked_for(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ["search", tiny_space, "--trials", 1, "--run", run, "--baseline", BASELINE]
    done = run_cli(*command, *SEARCH, *table, "--timeout", 0.0001, "--workers", 1)
    assert f"to go on: nas-incep resume {run} --workers 1 --device cpu" in done.stderr
    assert json.loads((run / "run.json").read_text())["request"]["baselines"] == [BASELINE]
    assert rows(run) == []
    assert run_cli("resume", run, "--workers", 1).returncode == 0
    assert sorted(row["kind"] for row in rows(run)) == ["baseline", "candidate"]


def test_other_baselines_resume_a_run(tiny_space: Path, table: Options, run: Path) -> None:
    command = ["search", tiny_space, "--trials", 4, "--run", run, "--baseline", "none"]
    assert run_cli(*command, *SEARCH, *table).returncode == 0
    assert Run(run).config().request.baselines == ()
    assert run_cli("resume", run, "--baseline", BASELINE, "--workers", 0).returncode == 0
    assert Run(run).config().request.baselines == (BASELINE,)


@pytest.mark.parametrize("place", ["nothing", "."])
def test_a_folder_without_a_run_is_refused(place: str, tmp_path: Path) -> None:
    done = run_cli("resume", place, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"nas-incep: {place}: not a run folder (it has no run.json)\n"


def test_the_command_that_goes_on_names_a_database_without_its_password() -> None:
    means = Means(None, ("gpu:0", "gpu:1"), 4, "postgresql://me:secret@host/db")
    assert resume_command(Run(Path("a run")), means) == (
        "nas-incep resume 'a run' --storage 'postgresql://me:***@host/db' "
        "--device gpu:0,gpu:1 --threads 4"
    )
    assert resume_command(Run(Path("r")), Means(workers=0)) == "nas-incep resume r --workers 0"
