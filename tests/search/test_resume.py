"""Kills a search at its every kind of write, again and again, and expects nothing to change."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, command, killed_at, run_cli, started, wait_for
from helpers.forked import Forks, forks
from helpers.runs import assert_as_recorded, rerun_results, results

# What a search is asked for in the chains of kills below, and the states that it must come to.
SEARCHES = {
    # With the default seed, the sampler draws a network twice.
    "tpe": (("--trials", "4", "--seed", "1"), {"complete"}),
    "duplicates": (("--trials", "9", "--sampler", "random"), {"complete", "duplicate"}),
    "pruned": (
        ("--trials", "9", "--sampler", "random", "--pruner", "sha", "--reduction", "2"),
        {"complete", "duplicate", "pruned"},
    ),
    "over budget": (
        ("--trials", "4", "--sampler", "random", "--max-params", "8000"),
        {"complete", "duplicate", "over budget"},
    ),
}


# A few trials have no finals by default.
WITH_FINALS = ("duplicates", "pruned")


def arguments_of(name: str, space: Path, table: Options, run: Path) -> list[str]:
    # No worker process of its own: every write is this process's.
    baseline = "cifar_resnet20_v1" if name == "tpe" else "none"
    options = ("--baseline", baseline, *SEARCH, *SEARCHES[name][0], "--workers", "0", *table)
    return ["search", str(space), "--run", str(run), *options]


@pytest.fixture(scope="module")
def whole(
    tiny_space: Path, table: Options, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Each of the searches, undisturbed. Tests only read them."""
    folder = tmp_path_factory.mktemp("whole")
    for name, (_, states) in SEARCHES.items():
        done = run_cli(*arguments_of(name, tiny_space, table, folder / name))
        assert done.returncode == 0, done.stderr
        assert {result[2] for result in results(folder / name)} == states
        assert bool(rerun_results(folder / name)) == (name in WITH_FINALS)
        assert_as_recorded(folder / name)
    return {name: folder / name for name in SEARCHES}


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with forks(tmp_path_factory.mktemp("forks")) as running:
        yield running


# The calls that change files, and how many of each a search makes at most before it is killed.
CALLS = {"fsync": 20, "replace": 8, "unlink": 14, "mkdir": 14}


def kill_again_and_again(
    killed_at: Callable[..., bool], arguments: list[str], chance: int, most: dict[str, int]
) -> int:
    """Kills a search at random calls up to their `most`-th, until it gets through; how often."""
    rng = random.Random(chance)
    kills = 0
    while True:
        call, moment = rng.choice(list(most)), rng.choice(["before", "after"])
        # The first time in the very first one, then anywhere. It has made some before it goes on.
        n = rng.randint(1, most[call]) if kills else 1
        if not killed_at(n, moment, arguments, call):
            return kills
        kills += 1
        assert kills < 60, "the search does not get on"


def assert_nothing_is_left_over(run: Path) -> None:
    assert not [path for path in run.rglob("*") if path.suffix in (".tmp", ".checkpoint", ".claim")]


@pytest.mark.timeout(900)  # each of its starts loads MXNet, which may take ten seconds
def test_kills_change_nothing_in_real_training(
    finished_run: Path, tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = ["search", str(tiny_space), "--trials", "4", "--run", str(run)]
    arguments += ["--baseline", "cifar_resnet20_v1", *SEARCH, "--workers", "0"]
    assert kill_again_and_again(killed_at, arguments, 0, {"fsync": 24}) >= 4
    assert results(run) == results(finished_run)
    assert_nothing_is_left_over(run)


# Chains of kills of each search. CHANCES=20 tries more; two keep the suite short.
CHANCES = int(os.environ.get("CHANCES", "2"))


@pytest.mark.parametrize("chance", range(CHANCES))
@pytest.mark.parametrize("name", SEARCHES)
def test_any_number_of_kills_changes_nothing(
    name: str,
    chance: int,
    whole: dict[str, Path],
    forked: Forks,
    tiny_space: Path,
    table: Options,
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    arguments = arguments_of(name, tiny_space, table, run)
    assert kill_again_and_again(forked.killed_at, arguments, chance, CALLS) >= 3
    assert results(run) == results(whole[name])
    assert rerun_results(run) == rerun_results(whole[name])
    assert_nothing_is_left_over(run)


# After an fsync or an unlink the files are as before the next one.
@pytest.mark.parametrize(
    ("call", "moment"),
    [
        ("fsync", "before"),
        ("replace", "before"),
        ("replace", "after"),
        ("unlink", "before"),
        ("mkdir", "after"),
    ],
)
def test_a_kill_at_each_write_changes_nothing(
    call: str, moment: str, forked: Forks, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    """Not at random ones only: at the first, the second, and so on up to the last."""

    def arguments(run: Path) -> list[str]:
        options = ("--trials", "2", "--baseline", "none", *SEARCH, "--workers", "0", *table)
        return ["search", str(tiny_space), "--run", str(run), *options]

    expected = tmp_path / "whole"
    forked.run(arguments(expected))
    for n in itertools.count(1):
        run = tmp_path / str(n)
        if not forked.killed_at(n, moment, arguments(run), call):
            break
        forked.run(arguments(run))
        assert results(run) == results(expected), n
        assert_nothing_is_left_over(run)
    assert n > 6


def test_a_search_with_a_pruner_survives_kills_at_its_rungs(
    whole: dict[str, Path], forked: Forks, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    """What is pruned does not depend on where the search was stopped."""
    cut = tmp_path / "cut"
    arguments = arguments_of("pruned", tiny_space, table, cut)
    kills = sum(forked.killed_at(n, "after", arguments) for n in range(17, 27))
    assert kills >= 5
    forked.run(arguments)
    assert results(cut) == results(whole["pruned"])


def test_a_finished_run_keeps_no_checkpoint(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = command(tiny_space, run, "--workers", 0, *slow_table)
    with started(arguments) as process:
        wait_for(process, r"^trial 1 \[Epoch 2\]")
        process.kill()
    assert list(run.glob("*/*.checkpoint"))
    # Trial 1 is not needed any more.
    done = subprocess.run([*arguments, "--trials", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list(run.glob("*/*.checkpoint"))


def test_a_checkpoint_of_a_living_worker_stays(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = command(tiny_space, run, "--workers", 0, *slow_table)
    join = [sys.executable, "-m", "nas_incep", "worker", str(run), "--device", "cpu"]
    with started(arguments) as process:
        wait_for(process, r"^trial 0 \[Epoch 8\]")
        with started(join) as joined:
            wait_for(joined, r"^trial \d+ \[Epoch 2\]")
            process.kill()
            process.wait()
            done = subprocess.run([*arguments, "--trials", "1"], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert joined.poll() is None
            assert list(run.glob("*/*.checkpoint"))
