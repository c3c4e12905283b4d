"""Finals by the real command line: with workers, kills, resumes, and later than the search."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, killed_at, run_cli, started, wait_for, workers_of
from helpers.runs import rerun_results, results, rows

from nas_incep.records import CONFIRMATION, FINALS
from nas_incep.results.run import Run

# Six trials and a half: two contenders, then a confirmation.
SIX = ("--trials", "6", "--sampler", "random", "--finals", "0.5", *SEARCH)


def search(space: Path, run: Path, *options: object) -> list[str]:
    return ["search", str(space), "--run", str(run), *SIX, *map(str, options)]


@pytest.fixture(scope="module")
def whole(tiny_space: Path, table: Options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search with finals, undisturbed. Tests only read it."""
    run = tmp_path_factory.mktemp("finals") / "whole"
    options = ("--baseline", "cifar_resnet20_v1", "--workers", 0, *table)
    done = run_cli(*search(tiny_space, run, *options))
    assert done.returncode == 0, done.stderr
    return run


def test_the_finals_follow_the_search_and_the_leaderboard_says_so(whole: Path) -> None:
    stages = [row[0] for row in rerun_results(whole)]
    assert set(stages) == {FINALS, CONFIRMATION}
    best = next(row for row in rows(whole) if row["kind"] == "candidate")
    assert best["reported_by"].startswith("confirmation")
    assert best["chosen_by"].startswith("finals")
    assert {"mean_accuracy", "standard_error", "seeds", "rank_low", "rank_high"} <= set(best)


def test_finals_can_come_later_and_are_the_same(
    whole: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "later"
    options = ("--baseline", "cifar_resnet20_v1", "--workers", 0, "--finals", "none", *table)
    assert run_cli(*search(tiny_space, run, *options)).returncode == 0
    assert not rerun_results(run)
    done = run_cli("finals", run, "--finals", 0.5, "--workers", 0)
    assert done.returncode == 0, done.stderr
    assert rerun_results(run) == rerun_results(whole)
    assert results(run) == results(whole)


def test_several_workers_share_the_finals(
    whole: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "three"
    options = ("--baseline", "cifar_resnet20_v1", "--workers", 3, *table)
    done = run_cli(*search(tiny_space, run, *options))
    assert done.returncode == 0, done.stderr
    assert rerun_results(run) == rerun_results(whole)
    assert not list(run.glob("*/*.claim"))


def test_a_kill_at_each_write_of_the_finals_changes_nothing(
    whole: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    options = ("--baseline", "cifar_resnet20_v1", "--workers", 0, *table)
    assert run_cli(*search(tiny_space, begun, *options, "--finals", "none")).returncode == 0
    arguments = ["finals", str(begun), "--finals", "0.5", "--workers", "0"]
    kills = 0
    for n in itertools.count(1, 3):  # it goes on where the last kill has left it
        if not killed_at(n, "after", arguments, "replace"):
            break
        kills += 1
    assert kills >= 3
    assert rerun_results(begun) == rerun_results(whole)
    assert not list(begun.glob("*/*.claim"))


def test_a_worker_that_dies_in_the_finals_is_replaced(
    tiny_space: Path, slow_table: Options, whole: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = ("--baseline", "cifar_resnet20_v1", "--workers", 1, *slow_table)
    command = search(tiny_space, run, *options)
    with started([sys.executable, "-m", "nas_incep", *command]) as process:
        wait_for(process, r"finals 1 of trial \d+ \[Epoch 1\]")
        os.kill(workers_of(process)[0], signal.SIGKILL)
        wait_for(process, r"finals 1 of trial \d+: its worker died; it is tried again")
        assert process.stderr
        process.stderr.read()
        assert process.wait(60) == 0
    assert rerun_results(run) == rerun_results(whole)


def test_finals_that_go_on_with_other_epochs_are_refused(whole: Path) -> None:
    done = run_cli("finals", whole, "--finals", 0.5, "--final-epochs", 5)
    assert done.returncode == 2
    assert "its finals have begun with 2 epochs, not 5: repeat the options of " in done.stderr
    assert "set these trainings aside by finals --anew" in done.stderr


def test_finals_begin_anew_at_a_kill_at_any_moment_and_the_earlier_ones_are_kept(
    whole: Path, tmp_path: Path
) -> None:
    """The kills are at each rename: of the two folders, of run.json, of claims and records."""
    run, straight = (Path(shutil.copytree(whole, tmp_path / name)) for name in ("run", "straight"))
    for stage in ("finals", "confirmation"):
        shutil.rmtree(straight / stage)
    options = ("--final-epochs", "4", "--workers", "0")
    assert run_cli("finals", straight, *options).returncode == 0

    def kept() -> set[str]:
        """The texts of the records that are 2 epochs long, wherever they are."""
        texts = {path.read_text() for path in run.glob("[cf]*/*.json")}
        return {text for text in texts if '"epochs": 2,' in text}

    before = kept()
    assert before
    anew = ["finals", str(run), *options, "--anew"]
    for n in itertools.chain((1, 1, 1), itertools.count(4, 3)):
        if not killed_at(n, "after", anew, "replace"):
            break
        assert kept() == before
    assert kept() == before
    assert sorted(path.name for path in run.glob("*.earlier*")) == [
        "confirmation.earlier",
        "finals.earlier",
    ]
    assert rerun_results(run) == rerun_results(straight)
    assert rows(run) == rows(straight)
    again = run_cli(*anew)  # with nothing else to do it does nothing
    assert again.returncode == 0 and "set aside" not in again.stderr


def test_nothing_begins_anew_while_other_workers_are_there(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    (run / "workers").mkdir(exist_ok=True)
    with open(run / "workers" / "elsewhere-1-00000000", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = run_cli("finals", run, "--final-epochs", 4, "--workers", 0, "--anew")
    assert done.returncode == 2
    assert "--anew: workers are still at work on" in done.stderr
    assert rerun_results(run) == rerun_results(whole)


@pytest.mark.parametrize("share", ["none", "0"])
def test_finals_of_nothing_are_refused(share: str, whole: Path) -> None:
    done = run_cli("finals", whole, "--finals", share)
    assert done.returncode == 2
    assert f"--finals {share}: leaves no finals to train: a share above 0" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--finals", "much"), "--finals much: none or a number is expected"),
        (("--finals", "0.95"), "--finals 0.95: none or 0 to 0.9 is expected"),
        (("--finals", "none", "--final-epochs", "9"), "--final-epochs 9: --finals none has no"),
        (("--finals", "0.3", "--objective", "accuracy,macs"), "only --objective accuracy has fin"),
    ],
)
def test_finals_that_make_no_sense_are_refused(
    options: Options, said: str, tiny_space: Path, tmp_path: Path
) -> None:
    done = run_cli("search", tiny_space, "--run", tmp_path / "r", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "r").exists()


def test_longer_finals_train_longer(tiny_space: Path, table: Options, tmp_path: Path) -> None:
    run = tmp_path / "long"
    options = ("--baseline", "none", "--workers", 0, "--final-epochs", 4, "--finals", 0.7, *table)
    assert run_cli(*search(tiny_space, run, *options)).returncode == 0
    assert {record.epochs for record in Run(run).reruns()} == {4}
    assert {record.epochs for record in Run(run).records() if record.counts} == {2}


def test_a_damaged_claim_is_nobodys(
    whole: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = ("--baseline", "cifar_resnet20_v1", "--workers", 0, "--finals", "none", *table)
    assert run_cli(*search(tiny_space, run, *options)).returncode == 0
    (run / "finals").mkdir()
    for row, text in zip(rerun_results(whole), ("", '{"worker": "../../x", "deaths": 0}')):
        (run / "finals" / f"{row[2]:06d}~{row[1]}.claim").write_text(text)
    done = run_cli("finals", run, "--finals", 0.5, "--workers", 0)
    assert done.returncode == 0, done.stderr
    assert rerun_results(run) == rerun_results(whole)


def test_a_resume_changes_only_what_it_is_asked_to(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = ("--baseline", "none", "--workers", 0, "--trials", 1, "--final-epochs", 3, *table)
    assert run_cli(*search(tiny_space, run, *options)).returncode == 0

    def finals(*more: object) -> tuple[float, int | None]:
        assert run_cli("resume", run, "--workers", 0, *more).returncode == 0
        found = Run(run).config().request.finals
        return found.share, found.epochs

    assert finals() == (0.5, 3)
    assert finals("--final-epochs", 4) == (0.5, 4)
    assert finals("--finals", 0.2) == (0.2, 4)
    assert finals("--finals", "none") == (0.0, None)
