"""Names in any case, aliases, headings, completion, and what is printed as JSON."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from helpers.commands import Options, run_cli

from nas_incep.cli import program
from nas_incep.cli.commands import COMMAND_NAMES, OPTION_NAMES
from nas_incep.results.run import Run


def test_names_in_any_case_and_the_flags_of_gluoncv(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "r"
    options = ("--num-epochs", 2, "--momentum", 0.8, "--dtype", "Float32", "-j", 1)
    names = ("--sampler", "RANDOM", "--optimizer", "SGD", "--recipe", "Brief", "--pruner", "None")
    done = run_cli(
        *("search", tiny_space, "--save-dir", run, "--trials", 1, "--baseline", "none"),
        *(*options, *names, *table, "--format", "JSON"),
    )
    assert done.returncode == 0, done.stderr
    request = Run(run).config().request
    assert (request.recipe.epochs, request.recipe.momentum, request.sampler) == (2, 0.8, "random")
    assert [row["rank"] for row in json.loads(done.stdout)] == [1]


def test_help_has_the_options_under_headings_each_once() -> None:
    shown = run_cli("search", "--help").stdout
    sections = ["What is searched:", "How a network is trained:", "How the search decides:"]
    places = [shown.index(section) for section in (*sections, "What it computes with:")]
    assert places == sorted(places)
    assert places[1] < shown.index("--epochs") < places[2] < shown.index("--sampler") < places[3]
    search = program.commands["search"]
    for option in search.params:
        if option.param_type_name == "option":
            name = re.escape(sorted(option.opts, key=len)[0])
            assert len(re.findall(rf"\n  {name}(?![\w-])", shown)) <= 1
            assert option.opts[0] in shown


def test_what_is_suggested_exists() -> None:
    options = {name for command in program.commands.values() for p in command.params
               for name in p.opts}  # fmt: skip
    assert {name.split()[0] for name in OPTION_NAMES.values()} <= options
    assert set(COMMAND_NAMES.values()) <= set(program.commands)
    assert not set(program.commands) & set(COMMAND_NAMES)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("nas-incep le", ["leaderboard"]),
        ("nas-incep search qu", ["quick"]),
        ("nas-incep search quick --dataset ci", ["cifar10", "cifar100"]),
        ("nas-incep search quick --pruner h", ["hyperband"]),
        ("nas-incep search quick --trial", ["--trials", "--trial-timeout"]),
    ],
)
def test_the_shell_completes_names(typed: str, expected: list[str]) -> None:
    words = typed.split()
    environment = {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    environment["_NAS_INCEP_COMPLETE"] = "bash_complete"
    done = run_cli(env={**os.environ, **environment})
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == expected


def test_results_are_printed_as_json(bundle: Path, finished_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "exported"
    made = json.loads(run_cli("export", finished_run, target, "--format", "json").stdout)
    assert (made["path"], made["val_accuracy"] > 0) == (str(target), True)
    verified = json.loads(run_cli("verify", bundle, "--format", "json").stdout)
    assert verified["verified"] and verified["measured"] == pytest.approx(verified["recorded"])
    (target / "weights.params").write_bytes(b"")
    damaged = run_cli("verify", target, "--format", "json")
    assert (damaged.returncode, json.loads(damaged.stdout)["verified"]) == (1, False)
    assert "digits" in json.loads(run_cli("data", "--format", "json").stdout)
    digits = run_cli("data", "digits", "--format", "json")
    assert json.loads(digits.stdout)["dataset"] == "digits"


def test_a_run_is_no_bundle(table_run: Path) -> None:
    done = run_cli("verify", table_run)
    assert done.returncode == 2
    assert f"is a run folder, not a bundle; nas-incep export {table_run} DIR" in done.stderr


def test_what_is_done_already_is_said(
    table_run: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(table_run, tmp_path / "run"))
    done = run_cli("worker", run)
    assert done.returncode == 0
    assert f"done with its 4 trials; for more: nas-incep resume {run} --trials N" in done.stderr
    done = run_cli("resume", run, "--trials", 2)
    assert done.returncode == 0
    assert "trials done: 4 of 2; a larger --trials trains more" in done.stderr
