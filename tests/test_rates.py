"""The learning rates of baselines."""

from __future__ import annotations

import dataclasses
import math

import pytest
from helpers.engines import ENGINES
from helpers.records import a_config

from nas_incep.engines import load_engine
from nas_incep.errors import InputError
from nas_incep.rates import groups_of, rate_for, rate_scale, typical_weight
from nas_incep.recipe import RECIPES, get_recipe

LAYERS = {"a.weight": (8, 3, 3, 3), "a.bias": (8,), "b.weight": (16, 8, 1, 1), "c.weight": (10, 16)}
RUNNING = {"a.running_mean": (8,), "a.running_var": (8,)}


def wide(fans: int) -> dict[str, tuple[int, ...]]:
    return {"a.weight": (fans // 2, fans // 2)}


def test_a_typical_weight_is_that_of_the_middle_layer() -> None:
    """Biases and normalization are none; fans are those of Xavier."""
    assert typical_weight(LAYERS, {}) == pytest.approx(math.sqrt(2 / 26))
    assert typical_weight({"a.bias": (8,)}, {}) == math.inf


def test_the_fans_of_a_grouped_convolution_are_those_of_a_group() -> None:
    depthwise, grouped = {"a.weight": (512, 1, 3, 3)}, {"a.weight": (64, 2, 3, 3)}
    assert typical_weight(depthwise, {"a.weight": 512}) == pytest.approx(math.sqrt(2 / 18))
    assert typical_weight(grouped, {"a.weight": 32}) == pytest.approx(math.sqrt(2 / 36))
    graph = {
        "nodes": [
            {"op": "null", "name": "data", "inputs": []},
            {"op": "null", "name": "a.weight", "inputs": []},
            {"op": "Convolution", "attrs": {"num_group": "32"}, "inputs": [[0, 0, 0], [1, 0, 0]]},
        ]
    }
    assert groups_of(graph) == {"a.weight": 32}


def test_the_rate_falls_with_the_weights_and_faster_without_normalization() -> None:
    assert rate_scale(wide(2000)) == pytest.approx((0.0316 / 0.15) ** 2, rel=0.01)
    assert rate_scale({**wide(2000), **RUNNING}) == pytest.approx(0.0316 / 0.15, rel=0.01)
    assert rate_scale(LAYERS) == rate_scale({**LAYERS, **RUNNING}) == 1.0


def test_the_rate_has_two_digits_and_is_that_of_adam_alone() -> None:
    assert rate_for(RECIPES["brief"], 0.2345) == 0.0023
    assert rate_for(RECIPES["brief"], 1.0) == 0.01
    assert rate_for(get_recipe("brief", optimizer="sgd", learning_rate=0.1), 0.2) == 0.1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("spec", "scale"),
    [("cifar_resnet20_v1", 0.42), ("vgg11@32", 0.0193), ("inception3@75", 0.2227)],
)
def test_engines_agree_on_the_rate(engine: str, spec: str, scale: float) -> None:
    facts = load_engine(engine).check_baseline(spec, 10, (3, 32, 32))
    assert facts.scale == pytest.approx(scale, rel=0.005)


def test_a_run_that_has_begun_keeps_the_rates_of_its_baselines() -> None:
    one, other = "inception3@75", "resnet18_v1"
    asked = dataclasses.replace(a_config().request, baselines=(one, other))
    scales = {one: 0.2, other: 0.2}
    begun = dataclasses.replace(asked, baselines=(one,))  # of 0.1.0, which had no such rates
    found = asked.with_rates(scales).resuming(begun)
    assert found.baseline_rates == {other: 0.002}
    assert found.recipe_of(found.baseline(one)).learning_rate == 0.01
    assert found.recipe_of(found.baseline(other)).learning_rate == 0.002
    again = asked.with_rates({one: 0.4, other: 0.4}).resuming(found)
    assert again.baseline_rates == {other: 0.002}


@pytest.mark.parametrize("own", ["lr=0.005", "pretrained", "optimizer=sgd,lr=0.1"])
def test_a_baseline_with_a_rate_of_its_own_keeps_it(own: str) -> None:
    spec = f"/nets/inception3@75:{own}"
    asked = dataclasses.replace(a_config().request, baselines=(spec,))
    assert asked.with_rates({spec: 0.2}).baseline_rates == {}


def test_the_rule_can_be_switched_off() -> None:
    asked = a_config(baselines=("resnet18_v1",)).request
    assert asked.with_rates({"resnet18_v1": 0.2}).baseline_rates == {"resnet18_v1": 0.002}
    off = dataclasses.replace(asked, baseline_lr="recipe")
    assert off.with_rates({"resnet18_v1": 0.2}).baseline_rates == {}
    with pytest.raises(InputError, match=r"^--baseline-lr x: one of rule, recipe is expected$"):
        dataclasses.replace(asked, baseline_lr="x")
