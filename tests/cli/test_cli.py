"""The command line: help at once, one clear sentence for every mistake, and exit status 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.commands import run_cli

BLOCKS = "[[1, 8, 8, 8, 8, 8, 8]]"


def test_help_and_import_are_quick_and_load_no_framework() -> None:
    code = (
        "import sys; import nas_incep.cli; sys.argv[1:] = ['--help']\n"
        "try: nas_incep.cli.main()\n"
        "except SystemExit: print([m for m in ('mxnet', 'gluoncv', 'optuna') if m in sys.modules])"
    )
    # The best of five: another process may be busy.
    times = []
    for _ in range(5):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        times.append(time.perf_counter() - started)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "leaderboard" in done.stdout
    assert min(times) < 0.5


def test_the_version_is_the_packages() -> None:
    import importlib.metadata

    assert importlib.metadata.version("nas-incep") in run_cli("--version").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "no_such_space", "--run", "r"], "no_such_space: no such space file"),
        (["search", "quick"], "Missing option '--run'"),
        (["search", "quick", "--run", "r", "--dataset", "mnist3"], "mnist3"),
        (["search", "quick", "--run", "r", "--epochs", "0"], "0 is not in the range x>=1"),
        (["search", "quick", "--run", "r", "--optimizer", "lion"], "'lion' is not one of sgd"),
        (["search", "quick", "--run", "r", "--recipe", "slow"], "'slow' is not one of brief"),
        (["search", "quick", "--run", "r", "--sampler", "gut"], "'gut' is not one of tpe"),
        (["search", "quick", "--run", "r", "--baseline", "inception9"], "baseline inception9"),
        (["search", "quick", "--run", "r", "--baseline", "inception3@32"], "at least 75"),
        (["search", "quick", "--run", "r", "--device", "gpu:7"], "gpu:7 cannot be used"),
        (["search", "quick", "--run", "r", "--trials", "-1"], "--trials"),
        (["search", "quick", "--run", "r", "--precision", "int8"], "'int8' is not one of float32"),
        (["search", "quick", "--run", "r", "--precision", "float16"], "on GPUs only, not on the"),
        (["search", "quick", "--run", "r", "--validation-size", "5"], "validation"),
        (["search", "quick", "--run", "r", "--dataset", "cifar10", "--data-dir", "."], "cifar10"),
        (["leaderboard", "nothing"], "nothing: not a run folder"),
        (["leaderboard", ".", "--format", "xml"], "'xml' is not one of"),
        (["export", "nothing", "b"], "nothing: not a run folder"),
        (["verify", "nothing"], "nothing: no such bundle"),
        (["evaluate", "nothing"], "nothing: no such bundle"),
        (["register", "nothing", "name"], "nothing: no such bundle"),
        (["describe", "nothing.json"], "nothing.json: no such file"),
        (["describe", "{"], "inline JSON: not valid JSON"),
        (["describe", "[[1, 2]]"], "seven integers are expected"),
        (["describe", '{"blocks": [[1,8,8,8,8,8,0]]}'], "blocks[0].n4_1 is 0"),
        (["spaces", "nothing"], "the shipped spaces are nin_cifar, nin_small, notebook, quick"),
        (["data", "mnist3"], "mnist3"),
        (["probe", BLOCKS, "--picture", "p.bmp"], ".bmp"),
        (["nonsense"], "No such command 'nonsense'"),
        (["serach", "quick"], "No such command 'serach'; did you mean search?"),
        (["rank", "r"], "No such command 'rank'; did you mean leaderboard?"),
        (
            ["search", "quick", "--run", "r", "--lr", "0"],
            "0: a positive number is expected; w",
        ),
        (["search", ".", "--run", "r"], ".: is a folder; a space file or a shipped space"),
        (["search", "quick", "--trails", "1"], "did you mean --trials or --threads?"),
        (["search", "quick", "--learning-rate", "1"], "did you mean --lr? (see nas-incep search -"),
        (["leaderboard", "r", "--json"], "No such option '--json'; did you mean --format json?"),
        (["search", "quick", "--pruner", "asha"], "'asha' is not one of none, sha, hyperband, med"),
        (["search", "quick", "--pruner", "ASHA"], "did you mean sha?"),
        (["search", "quick", "--engine", "pytorch"], "did you mean torch?"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    done = run_cli(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("nas-incep: ")
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "r").exists()


def test_without_arguments_there_is_help() -> None:
    done = run_cli()
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: nas-incep")


def test_debug_shows_where(tmp_path: Path) -> None:
    for arguments in (["--debug", "leaderboard", "nothing"], ["leaderboard", "nothing", "--debug"]):
        done = run_cli(*arguments, cwd=tmp_path)
        assert "Traceback" in done.stderr
        assert "not a run folder" in done.stderr


@pytest.mark.parametrize("content", ["", "{", '{"format": "nas-incep-run"}', "[]"])
def test_a_broken_run_file_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    done = run_cli("leaderboard", tmp_path)
    assert done.returncode == 2
    assert "run.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_of_something_else_is_not_searched_in(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    done = run_cli("search", "quick", "--run", tmp_path)
    assert done.returncode == 2
    assert "exists and is not a run folder" in done.stderr


def test_describe_gives_costs_of_a_file_and_of_inline_json(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"blocks": json.loads(BLOCKS)}))
    facts = [
        json.loads(run_cli("describe", source, "--format", "json").stdout)
        for source in (file, BLOCKS, f'{{"blocks": {BLOCKS}}}')
    ]
    assert facts[0] == facts[1] == facts[2]
    assert facts[0]["parameters"] == sum(stage["parameters"] for stage in facts[0]["stages"])
    assert facts[0]["macs"] == sum(stage["macs"] for stage in facts[0]["stages"])
    table = run_cli("describe", BLOCKS).stdout
    assert f"{facts[0]['parameters']:,}" in table
    assert facts[0]["identity"] in table


def test_spaces_lists_and_prints(tmp_path: Path) -> None:
    listing = json.loads(run_cli("spaces", "--format", "json").stdout)
    assert {"notebook", "nin_cifar", "nin_small", "quick"} <= set(listing)
    for name in listing:
        facts = json.loads(run_cli("spaces", name, "--format", "json").stdout)
        assert facts["size"] > 1
        assert facts["macs"][0] < facts["macs"][1]
        assert f"{facts['size']:,}" in run_cli("spaces", name).stdout


def test_probe_prints_and_draws(tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    done = run_cli("probe", BLOCKS, "--picture", picture, "--images", 16, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "Xavier" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_closed_pipe_is_no_error(finished_run: Path) -> None:
    command = f"'{sys.executable}' -m nas_incep leaderboard '{finished_run}' --format csv | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=os.environ)
    assert done.stderr == ""


def test_debug_adds_a_traceback_and_changes_nothing_else(tmp_path: Path) -> None:
    plain = run_cli("leaderboard", tmp_path / "none")
    debug = run_cli("leaderboard", tmp_path / "none", "--debug")
    assert plain.returncode == debug.returncode == 2
    assert "Traceback" in debug.stderr and "Traceback" not in plain.stderr
    assert debug.stderr.splitlines()[-1] == plain.stderr.strip()
