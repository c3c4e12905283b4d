"""Options that are refused leave no run folder, and an existing one as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, run_cli
from helpers.servers import free_port

from nas_incep.search.supervisor import STORAGE_VARIABLE

# Each with a part of the sentence in which a new run, and a finished one, refuses it.
REFUSED = {
    "space": (("no_such",), "no such space file"),
    "dataset": (("--dataset", "mnist3"), "mnist3"),
    "missing data": (("--dataset", "cifar10", "--data-dir", "{here}"), "cifar10"),
    "validation size": (("--validation-size", "100000"), "validation"),
    "recipe": (("--recipe", "slow"), "'slow' is not one of brief"),
    "epochs": (("--epochs", "0"), "0 is not in the range"),
    "learning rate": (("--lr", "0"), "--lr"),
    "optimizer": (("--optimizer", "lion"), "'lion' is not one of sgd"),
    "images": (("--images-per-epoch", "3"), "at least one batch"),
    "baseline": (("--baseline", "inception9"), "baseline inception9"),
    "objective": (("--objective", "speed"), "--objective 'speed'"),
    "sampler": (("--sampler", "gut"), "'gut' is not one of tpe"),
    "objectives and sampler": (
        ("--objective", "accuracy,macs", "--sampler", "evolution"),
        "supports one objective",
    ),
    "objectives and pruner": (
        ("--objective", "accuracy,macs", "--pruner", "sha"),
        "only --objective accuracy can be pruned",
    ),
    "pruner": (("--pruner", "axe"), "'axe' is not one of none, sha"),
    "reduction": (("--pruner", "sha", "--reduction", "1"), "--reduction"),
    "precision": (("--precision", "int8"), "'int8' is not one of float32"),
    "unavailable precision": (("--precision", "bfloat16"), "--precision bfloat16"),
    "device": (("--device", "gpu:7"), "gpu:7"),
    "second device": (("--workers", "0", "--device", "cpu,cpu"), "one device only"),
    "workers": (("--workers", "many"), "a number up to 1000 or auto is expected"),
    "trials": (("--trials", "-1"), "--trials"),
    "limit": (("--max-macs", "10"), "max_macs"),
    "engine": (("--engine", "cuda"), "'cuda' is not one of auto"),
    "table": (("--engine", "table:{here}/none.json"), "no such file"),
    "not a URL": (("--storage", "elsewhere"), "elsewhere"),
    "database": (("--storage", "postgresql://u:secret@127.0.0.1:{port}/d"), "postgresql://u:***@"),
    "proxy": (("--storage", "grpc://127.0.0.1"), "grpc://127.0.0.1"),
}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(options: Options, run: Path, space: Path, table: Options) -> str:
    """The sentence in which a search with these options is refused."""
    values = {"here": run.parent, "port": free_port()}
    given = [option.format(**values) for option in options]
    if not given[0].startswith("-"):
        space = Path(given.pop(0))
    usual = ("--trials", 4, "--baseline", "cifar_resnet20_v1", *SEARCH, *table)
    done = run_cli("search", space, "--run", run, *usual, *given)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and "secret" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refused_option_leaves_no_run_folder(
    kind: str, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    options, sentence = REFUSED[kind]
    assert sentence in refusal(options, tmp_path / "run", tiny_space, table)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [*REFUSED, "another search"])
def test_a_refused_option_leaves_a_run_as_it_was(
    kind: str, table_run: Path, tiny_space: Path, table: Options
) -> None:
    options = REFUSED[kind][0] if kind in REFUSED else ("--seed", "7")
    before = contents(table_run)
    refusal(options, table_run, tiny_space, table)
    assert contents(table_run) == before


def test_a_database_that_has_gone_leaves_its_run_as_it_was(
    postgresql_url: str, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    """Neither the right one, which does not answer, nor another, which has no such study."""
    run = tmp_path / "run"
    arguments = ("search", tiny_space, "--run", run, "--trials", 0, "--baseline", "none", *SEARCH)
    url = f"{postgresql_url}?application_name=one"
    done = run_cli(*arguments, *table, "--storage", url)
    assert done.returncode == 0, done.stderr
    before = contents(run)
    dead = url.replace("127.0.0.1:", "127.0.0.2:")
    for other in (dead, postgresql_url.rpartition("/")[0] + "/nosuch"):
        environment = {**os.environ, STORAGE_VARIABLE: other}
        done = run_cli(*arguments, *table, env=environment)
        assert done.returncode == 2, done.stderr
        assert contents(run) == before
