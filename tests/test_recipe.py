"""The name of a recipe tells its settings; equal settings have equal names."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, run_cli
from helpers.records import a_config

from nas_incep.initial_values import typical_weight
from nas_incep.recipe import RECIPES, Recipe, get_recipe, rate_for
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


@pytest.mark.parametrize(
    ("weight", "rate"),
    [(0.3, 0.01), (0.15, 0.01), (0.0635, 0.0042), (0.0334, 0.0022), (0.01, 7e-4)],
)
def test_small_weights_have_a_small_rate(weight: float, rate: float) -> None:
    assert rate_for(RECIPES["brief"], weight) == pytest.approx(rate, abs=1e-12, rel=0.05)
    assert rate_for(get_recipe("brief", optimizer="sgd", learning_rate=0.1), weight) == 0.1


def test_a_typical_weight_is_that_of_the_middle_layer() -> None:
    """Biases and normalization are none; fans are those of Xavier."""
    shapes = [(8, 3, 3, 3), (8,), (16, 8, 1, 1), (10, 16), (10,)]
    assert typical_weight(shapes) == pytest.approx(math.sqrt(2 / 26))
    assert typical_weight([(8,)]) == math.inf


def test_a_run_that_has_begun_keeps_the_rates_of_its_baselines() -> None:
    one, other = "inception3@75", "resnet18_v1"
    asked = dataclasses.replace(a_config().request, baselines=(one, other))
    weights = {one: 0.03, other: 0.03}
    begun = dataclasses.replace(asked, baselines=(one,))  # of 0.1.0, which had no such rates
    found = asked.with_rates(weights).resuming(begun)
    assert found.baseline_rates == {other: 0.002}
    assert found.recipe_of(found.baseline(one)).learning_rate == 0.01
    assert found.recipe_of(found.baseline(other)).learning_rate == 0.002
    again = asked.with_rates({one: 0.06, other: 0.06}).resuming(found)
    assert again.baseline_rates == {other: 0.002}


@pytest.mark.parametrize("own", ["lr=0.005", "pretrained", "optimizer=sgd,lr=0.1"])
def test_a_baseline_with_a_rate_of_its_own_keeps_it(own: str) -> None:
    spec = f"/nets/inception3@75:{own}"
    asked = dataclasses.replace(a_config().request, baselines=(spec,))
    assert asked.with_rates({spec: 0.03}).baseline_rates == {}


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
