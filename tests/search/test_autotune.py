"""What `auto` measures: a network that the search may train, on every way that works."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest
from helpers.commands import run_cli
from rich.console import Console

from nas_incep import datasets as data
from nas_incep.architecture import Block
from nas_incep.datasets import dataset_info
from nas_incep.engines import load_engine
from nas_incep.engines.base import Job
from nas_incep.errors import InputError
from nas_incep.recipe import Recipe
from nas_incep.records import Subject
from nas_incep.results.run import Run
from nas_incep.search import autotune as automatic
from nas_incep.search.display import Display
from nas_incep.search.supervisor import Slot
from nas_incep.spaces.reader import read_space, with_limits


def test_the_example_is_a_network_that_the_search_may_train() -> None:
    space, info = read_space("nin_cifar"), dataset_info("cifar10")
    first = automatic.example(space, info)
    assert list(map(list, first.blocks)) == space.references[0]["blocks"]
    # The next reference, or else a random network.
    for name, limit in (("nin_cifar", first.macs - 1), ("nin_small", 8_000_000)):
        space = with_limits(read_space(name), {"max_macs": limit})
        assert automatic.example(space, info).macs <= limit
    with pytest.raises(InputError, match=r"^space nin_cifar: none of .* within the limits"):
        automatic.example(with_limits(read_space("nin_cifar"), {"max_macs": 1}), info)


def test_measuring_cannot_diverge() -> None:
    digits = data.load("digits")
    architecture = dataclasses.replace(
        automatic.example(read_space("quick"), digits.info), blocks=(Block(1, 8, 8, 8, 8, 8, 8),)
    )
    recipe = Recipe(batch_size=32, learning_rate=1e9)
    subject = Subject("candidate", 0, architecture.identity, 0, architecture)
    job = Job(subject, digits, recipe, "cpu", "float32", Path("none"))
    assert load_engine("gluon").images_per_second(job, 0.1, int) > 0


def test_a_way_that_fails_is_not_chosen(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic, "SECONDS", 0.2)
    works, fails = [Slot("cpu", 1, ())], [Slot("gpu:99", 1, ())] * 2
    said = io.StringIO()
    display = Display(Console(file=said))
    run = Run(finished_run)
    assert automatic.best_slots(run, {1: works, 2: fails}, "float32", display) == works
    assert said.getvalue().startswith("2 cannot be measured: ")
    assert "gpu:99" in said.getvalue().splitlines()[0]
    with pytest.raises(InputError, match="none of these could be measured"):
        automatic.best_slots(run, {2: fails, 3: fails}, "float32", display)


def test_a_worker_waits_for_the_search_to_be_ready(finished_run: Path, tmp_path: Path) -> None:
    config = json.loads((finished_run / "run.json").read_text())
    del config["called"], config["precision"]
    (tmp_path / "run.json").write_text(json.dumps(config))
    done = run_cli("worker", tmp_path)
    assert done.returncode == 2
    assert "run.json: is not ready yet; nas-incep search begins a run" in done.stderr
