"""A search that trains the best networks of an earlier run first."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import SEARCH, TINY_SPACE, Options, killed_at, run_cli
from helpers.runs import counted, results, rows

import nas_incep
from nas_incep.errors import InputError
from nas_incep.results.run import Run

FRESH = ("--baseline", "none", "--finals", "none", "--sampler", "random", "--workers", 0)


@pytest.fixture(scope="module")
def earlier(tiny_space: Path, table: Options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eight candidates. Tests only read it."""
    run = tmp_path_factory.mktemp("runs") / "earlier"
    done = run_cli("search", tiny_space, "--run", run, "--trials", 8, *FRESH, *SEARCH, *table)
    assert done.returncode == 0, done.stderr
    return run


def best(run: Path, count: int) -> list[str]:
    return [row["name"] for row in rows(run)[:count]]


def names(run: Path) -> list[str]:
    """The networks of the trials that count, by number."""
    return [record.subject.name for record in counted(run)]


def test_the_best_are_trained_first_and_the_earlier_run_may_vanish(
    earlier: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    shutil.copytree(earlier, tmp_path / "r0")
    command = ("search", tiny_space, "--from", tmp_path / "r0", "--from-top", 3, "--seed", 5)
    command = (*command, *FRESH, *SEARCH, *table, "--run")
    whole = run_cli(*command, tmp_path / "whole", "--trials", 6)
    assert whole.returncode == 0, whole.stderr
    assert "3 of its 8 complete" not in whole.stderr
    assert "8 of its 8 complete candidates are in space tiny" in whole.stderr
    # The space's reference comes before them; it may be one of them.
    wanted = list(dict.fromkeys([names(earlier)[0], *best(earlier, 3)]))
    assert names(tmp_path / "whole")[: len(wanted)] == wanted

    begun = run_cli(*command, tmp_path / "parts", "--trials", 2)
    assert begun.returncode == 0
    assert f"--trials 2: fewer than the {len(wanted)} networks that are tried first" in begun.stderr
    shutil.rmtree(tmp_path / "r0")
    going_on = run_cli(*command, tmp_path / "parts", "--trials", 6)
    assert going_on.returncode == 0, going_on.stderr
    assert results(tmp_path / "parts") == results(tmp_path / "whole")


def test_kills_and_a_lost_journal_change_nothing(
    earlier: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    def command(run: str) -> list[str]:
        words = ("search", tiny_space, "--from", earlier, "--run", tmp_path / run, "--trials", 6)
        return [str(word) for word in (*words, *FRESH, *SEARCH, *table)]

    assert run_cli(*command("whole")).returncode == 0
    for calls in (3, 9, 14):
        assert killed_at(calls, "after", command("killed"))
    # Some of those that are to be tried first have no record yet.
    (tmp_path / "killed" / "study.journal").unlink(missing_ok=True)
    done = run_cli("resume", tmp_path / "killed", "--workers", 0)
    assert done.returncode == 0, done.stderr
    assert results(tmp_path / "killed") == results(tmp_path / "whole")


def test_a_study_in_a_database_begins_with_them_too(
    earlier: Path, tiny_space: Path, table: Options, tmp_path: Path, postgresql_url: str
) -> None:
    command = ("search", tiny_space, "--run", tmp_path / "r", "--trials", 3, "--from", earlier)
    options = ("--from-top", 2, "--storage", postgresql_url, *FRESH, *SEARCH, *table)
    done = run_cli(*command, *options)
    assert done.returncode == 0, done.stderr
    wanted = list(dict.fromkeys([names(earlier)[0], *best(earlier, 2)]))
    assert names(tmp_path / "r")[: len(wanted)] == wanted


def test_only_what_fits_is_taken(earlier: Path, table: Options, tmp_path: Path) -> None:
    """With other workers, whose order is another, and a limit that excludes some."""
    space = tmp_path / "narrow.toml"
    space.write_text(TINY_SPACE.replace("n1_1 = [8, 16]", "n1_1 = 8").partition("[[ref")[0])
    limit = sorted(row["parameters"] for row in rows(earlier))[5]
    command = ("search", space, "--run", tmp_path / "r", "--trials", 3, "--from", earlier)
    done = run_cli(*command, "--max-params", limit, *FRESH[:-2], "--workers", 2, *SEARCH, *table)
    assert done.returncode == 0, done.stderr
    fits = [
        row["name"]
        for row in rows(earlier)
        if row["blocks"][0][1] == 8 and row["parameters"] <= limit
    ]
    assert 0 < len(fits) < 8
    first = names(tmp_path / "r")[: min(3, len(fits))]
    assert sorted(first) == sorted(fits[: len(first)])


def keywords(table: Options) -> dict[str, Any]:
    options = {"trials": 2, "baseline": "none", "workers": 0, "engine": table[1], "epochs": 2}
    return {**options, "batch_size": 32, "images_per_epoch": 320, "progress": False}


def test_what_cannot_be_taken_is_refused_in_a_sentence(
    earlier: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    space = tmp_path / "wide.toml"
    space.write_text(TINY_SPACE.replace("n3_5 = 8", "n3_5 = 16").partition("[[ref")[0])
    end = ("--run", tmp_path / "r", *FRESH, *SEARCH, *table)
    done = run_cli("search", space, "--from", earlier, *end)
    assert (done.returncode, done.stdout) == (2, "")
    assert "none of its 8 complete candidates is in space wide; of the best one" in done.stderr
    assert "blocks[0].n3_5 is 8, which the space does not offer" in done.stderr
    options = keywords(table)
    nas_incep.search(tiny_space, tmp_path / "empty", **{**options, "trials": 0})
    for source, words in (("no", "not a run folder"), ("empty", "has no complete candidate yet")):
        with pytest.raises(InputError, match=words):
            nas_incep.search(tiny_space, tmp_path / "r", warm_start=tmp_path / source, **options)
    with pytest.raises(InputError, match="--from-top 0"):
        nas_incep.search(tiny_space, tmp_path / "r", warm_start=earlier, from_top=0, **options)
    assert not (tmp_path / "r").exists()


def test_from_python_it_is_a_warm_start_and_belongs_to_the_run(
    earlier: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    options = keywords(table)
    run = nas_incep.search(tiny_space, tmp_path / "r", warm_start=earlier, from_top=1, **options)
    assert best(earlier, 1)[0] in [record.subject.name for record in run.records]
    taken = Run(run.path).config().request.warm_start
    assert taken and [network.trial for network in taken.networks] == [rows(earlier)[0]["trial"]]
    with pytest.raises(InputError, match=r"warm_start\.top was 1, now 5"):
        nas_incep.search(tiny_space, run.path, warm_start=earlier, **options)
    with pytest.raises(InputError, match="--from-top 3: needs --from RUN"):
        nas_incep.search(tiny_space, tmp_path / "other", from_top=3, **options)
