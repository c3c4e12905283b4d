"""The name of a recipe tells its settings; equal settings have equal names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, run_cli

from nas_incep.recipe import RECIPES, Recipe, get_recipe
from nas_incep.results.pruning import Pruning, default_first_rung
from nas_incep.results.run import Run


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_preset_keeps_its_name(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.name == name
    same = get_recipe(name, optimizer=recipe.optimizer, learning_rate=recipe.learning_rate)
    assert same == recipe
    assert get_recipe(name, epochs=7, images_per_epoch=6400).name == name


def test_a_changed_preset_is_named_by_its_changes() -> None:
    changed = get_recipe("brief", optimizer="sgd", learning_rate=0.1)
    assert changed.name == "brief with optimizer=sgd, lr=0.1"
    # However it is made: changed in another order or twice, or read from a file of 0.1.0.
    twice = get_recipe("brief", learning_rate=1e-1, optimizer="sgd", epochs=3, weight_decay=5e-4)
    old = {**changed.to_json(), "name": "brief"}
    assert changed == twice == Recipe(**old) == Recipe(**changed.to_json())
    assert get_recipe("brief", optimizer="sgd", learning_rate=0.1000000001).name != changed.name


def test_images_are_counted_in_whole_batches() -> None:
    assert get_recipe("brief", images_per_epoch=300) == get_recipe("brief", images_per_epoch=256)


def test_settings_that_a_pruner_does_not_use_make_no_difference() -> None:
    assert Pruning("none", 5, 7, "train") == Pruning()
    assert Pruning("median", 2, 7) == Pruning("median", 2)
    assert Pruning("sha", 2, 7) != Pruning("sha", 2)
    assert Pruning("sha", by="train") != Pruning("sha", by="validation") == Pruning("sha")


def test_the_first_rung_is_a_quarter_of_the_epochs() -> None:
    assert [default_first_rung(epochs) for epochs in (1, 3, 8, 30)] == [1, 1, 2, 7]


def test_the_name_is_told_and_other_spellings_resume(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    common = ("search", tiny_space, "--run", run, "--trials", 1, "--baseline", "none")
    done = run_cli(*common, *SEARCH, *table, "--optimizer", "adam", "--lr", ".002")
    assert done.returncode == 0, done.stderr
    name = "brief with batch_size=32, lr=0.002"
    assert f"recipe {name}, 2 epochs of 320 images" in " ".join(done.stdout.split())
    assert Run(run).config().request.recipe.name == name
    record = json.loads((run / "trials" / "000000.json").read_text())
    assert record["recipe"]["name"] == name
    assert run_cli("export", run, tmp_path / "bundle").returncode == 0
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["recipe"]["name"] == name
    spelled = ("--optimizer", "adam", "--lr", "2e-3", "--images-per-epoch", "340", "--reduction", 2)
    done = run_cli(*common, *SEARCH, *table, *spelled)
    assert done.returncode == 0, done.stderr
