"""The commands in a report: the real parser makes the run's request of them again."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import TINY_SPACE
from report.conftest import networks, write_run

from nas_incep.cli.search import search
from nas_incep.report.commands import beyond_options, made_by
from nas_incep.report.contents import read_contents
from nas_incep.results.fidelity import Fidelity
from nas_incep.results.request import SearchRequest
from nas_incep.results.run import Run
from nas_incep.search.start import plan_search

TRAINING = """
[training]
epochs = 4
batch_size = 32
images_per_epoch = 1000
schedule = "constant"
lr = 0.003
baselines = ["cifar_resnet20_v1"]
"""


def asked(words: list[str]) -> SearchRequest:
    """What a search with these words, parsed as the command line does, is asked to do."""
    options: dict[str, Any] = search.make_context("search", list(words)).params
    for name in ("form", "quiet", "verbose"):
        del options[name]
    baseline = options.pop("baseline") or None
    return plan_search(
        options.pop("space"), options.pop("run"), baseline=baseline, **options
    ).request


def written(path: Path, request: SearchRequest) -> Run:
    """A run that was asked for that."""
    return write_run(path, [], **vars(request))


@pytest.mark.parametrize(
    "options",
    [
        "quick",  # its [training] has a schedule and baselines
        "quick --epochs 2 --baseline none --trials 8 --seed 1",
        "quick --recipe brief",
        "quick --recipe brief --batch-size 32",
        "quick --recipe notebook --epochs 5 --lr 0.5",
        "quick --images-per-epoch 321 --finals none --optimizer nag --momentum 0.8 --wd 0",
        "notebook --max-macs 77000000 --pruner sha --first-rung 2 --reduction 4",
        "notebook --objective accuracy,macs --sampler nsga2 --latency --deterministic",
        "own.toml",
        "own.toml --recipe brief",
        "own.toml --batch-size 4 --images-per-epoch 992",
        "own.toml --batch-size 31 --baseline-lr recipe",
        "own.toml --baseline inception3@75:lr=0.003 --baseline cifar_resnet20_v1 --keep 3",
        "own.toml --recipe notebook_rmsprop --precision bfloat16 --trial-timeout 0.25",
        "own.toml --validation-size 200 --finals 0.3333333333 --final-epochs 7",
        "own.toml --from earlier --from-top 3",
        "-own.toml --dataset CIFAR-10 --data-dir data --max-latency-ms 0.3",
    ],
)
def test_the_command_asks_for_the_same(
    options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("own.toml", "-own.toml"):
        (tmp_path / name).write_text(TINY_SPACE + TRAINING)
    words = options.split()
    if words[0].startswith("-"):
        words[0] = f"./{words[0]}"
    request = asked([*words, "--run", "r1", "--engine", "gluon"])
    request = dataclasses.replace(
        request, data_dir=request.data_dir and request.data_dir.absolute()
    )
    contents = read_contents(written(tmp_path / "a run", request))
    assert contents.config.request == request
    command = shlex.split(" ".join(made_by(contents)[0]))
    assert command[:2] == ["nas-incep", "search"]
    assert asked(command[2:]) == request
    assert beyond_options(contents.config) == []


def test_what_the_space_says_is_not_repeated(tmp_path: Path) -> None:
    request = asked(["quick", "--run", "r1", "--engine", "gluon"])
    lines = made_by(read_contents(written(tmp_path / "r", request)))[0]
    options = {line.partition(" ")[0] for line in lines}
    assert not options & {"--recipe", "--epochs", "--batch-size"}


def test_a_recipe_that_no_option_gives_is_told(tmp_path: Path) -> None:
    request = asked(["quick", "--run", "r1", "--engine", "gluon"])
    old = dataclasses.replace(request.recipe, initializer="msra", warmup=0.1)
    run = written(tmp_path / "r", dataclasses.replace(request, recipe=old))
    config = read_contents(run).config
    assert beyond_options(config) == ["warmup 0.1", "initializer msra"]


def test_a_check_has_its_command(checked_run: Run, tmp_path: Path) -> None:
    contents = read_contents(checked_run)
    assert contents.check == Fidelity(6, 3, 2, 2)
    _, check, export = (" ".join(lines) for lines in made_by(contents))
    path = checked_run.path
    assert check == f"nas-incep fidelity {path} --networks 6 --top 3 --seeds 2 --times 2"
    assert export == f"nas-incep export {path} {path}/best"
    assert len(made_by(read_contents(write_run(tmp_path / "r", networks())))) == 1
