"""What a crash may have left of a run's files: mended, or told before anything is overwritten."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.commands import (
    SEARCH,
    TRIALS,
    Options,
    command,
    run_cli,
)
from helpers.runs import counted, results

from nas_incep.results.run import Run

# How much is left of the last line's bytes: none, the first, half, all but the last.
CUTS = (lambda n: 0, lambda n: 1, lambda n: n // 2, lambda n: n - 1)


@pytest.mark.parametrize("cut", CUTS, ids=["none", "one", "half", "unended"])
def test_a_torn_journal_and_an_unheard_record_are_mended(
    cut: Callable[[int], int],
    table_run: Path,
    tiny_space: Path,
    table: Options,
    tmp_path: Path,
) -> None:
    """A crash after the record and inside the telling: nothing is trained again."""
    run = Run(tmp_path / "run")
    shutil.copytree(table_run, run.path)
    journal = run.study_path.read_bytes()
    lines = journal.splitlines(keepends=True)
    # The last line ends the last trial; leave a part of it.
    run.study_path.write_bytes(b"".join(lines[:-1]) + lines[-1][: cut(len(lines[-1]))])
    before = {path: path.stat().st_mtime_ns for path in run.path.glob("trials/*")}
    arguments = ("--run", run.path, "--baseline", "cifar_resnet20_v1", *SEARCH, *table)
    done = run_cli("search", tiny_space, "--trials", 4, *arguments)
    assert done.returncode == 0, done.stderr
    assert results(run.path) == results(table_run)
    assert {path: path.stat().st_mtime_ns for path in run.path.glob("trials/*")} == before
    # And the study has heard of it: it goes on with a new trial.
    done = run_cli("search", tiny_space, "--trials", 5, *arguments)
    assert done.returncode == 0, done.stderr
    assert len(results(run.path)) > len(results(table_run))


def test_a_damaged_checkpoint_is_begun_anew(
    finished_run: Path, tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    folder = run / "trials" / "000000.checkpoint"
    command = ["search", tiny_space, "--trials", 1, "--run", run, "--baseline", "none", *SEARCH]
    # Left by a search that ran out of time in its first training's second epoch.
    assert run_cli(*command, "--timeout", 0.0001).returncode == 0
    folder.mkdir(parents=True)
    (folder / "1.params").write_bytes(b"half")
    (folder / "curve.json").write_text("{")
    done = run_cli(*command)
    assert done.returncode == 0, done.stderr
    whole = [result for result in results(finished_run) if result[0] == 0]
    assert results(run) == whole


def test_a_damaged_record_is_set_aside_with_a_notice(
    undisturbed: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    damaged = Run(run).trial(0).record_path
    damaged.write_text(damaged.read_text()[:100])
    done = run_cli("leaderboard", run)
    # It is told, and the others are ranked.
    assert done.returncode == 0 and "000000.json: not valid JSON" in done.stderr
    assert "it is left out" in done.stderr
    assert f"{TRIALS - 1} complete" in done.stdout
    done = subprocess.run(command(tiny_space, run, *table), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "it is set aside as 000000.json.damaged" in done.stderr
    assert len(counted(run)) == TRIALS
    assert damaged.with_name("000000.json.damaged").exists()
