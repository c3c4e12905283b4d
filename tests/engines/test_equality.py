"""The two engines are the same: networks, gradients, optimizers and trainings.

`benchmarks/equality.py` measures how far apart they are, and docs/engines.md has the figures; the
tolerances here are a few times as large.
"""

from __future__ import annotations

import statistics

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from helpers.bundles import random_arrays  # noqa: E402
from helpers.equality import (  # noqa: E402
    ENGINES,
    OPTIMIZERS,
    after_training,
    between,
    curve,
    difference,
    in_training,
    optimizer_in_double,
    random_data,
)
from helpers.networks import architectures  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from nas_incep import datasets  # noqa: E402
from nas_incep._params import write_params  # noqa: E402
from nas_incep.architecture import Architecture, Block  # noqa: E402
from nas_incep.datasets import Dataset  # noqa: E402
from nas_incep.engines import load_engine  # noqa: E402
from nas_incep.engines.gluon.runtime import mx  # noqa: E402
from nas_incep.engines.torch.flat import Optimizer  # noqa: E402
from nas_incep.recipe import RECIPES, Recipe  # noqa: E402

BLOCKS = (Block(2, 8, 6, 8, 4, 8, 8), Block(1, 8, 6, 4, 4, 4, 4))
BATCH = 32
RULES = {**OPTIMIZERS, **{name: RECIPES[name].to_json() for name in RECIPES}}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.load("digits")


def steps(count: int, optimizer: str) -> Recipe:
    changes = {"initializer": "xavier", "schedule": "constant", **OPTIMIZERS[optimizer]}
    return Recipe(epochs=1, batch_size=BATCH, images_per_epoch=count * BATCH, **changes)


@settings(max_examples=20)
@given(architectures(st.integers(1, 12)))
def test_equal_parameters_give_equal_outputs_and_gradients(
    tmp_path_factory: pytest.TempPathFactory, architecture: Architecture
) -> None:
    arrays = random_arrays(architecture)
    images = np.random.default_rng(0).standard_normal(
        (24, *architecture.input_shape), dtype=np.float32
    )
    weights = tmp_path_factory.mktemp("weights") / "weights.params"
    write_params(weights, arrays)
    one, other = (load_engine(e).forward(architecture, weights, "cpu")(images) for e in ENGINES)
    assert difference({"scores": one}, {"scores": other}) < 1e-5
    # In training normalization can amplify what float32 rounds, by any factor.
    (one, ours), (other, theirs) = (
        in_training(engine, architecture, arrays, images.astype(np.float64)) for engine in ENGINES
    )
    assert difference({"scores": one}, {"scores": other}) < 1e-9
    assert ours.keys() == theirs.keys()
    assert difference(ours, theirs) < 1e-8


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RULES)
def test_equal_gradients_give_equal_steps(name: str, dtype: str) -> None:
    """MXNet keeps rates and decays in float32, so float64 differs by their rounding."""
    recipe = Recipe(**RULES[name])
    rng = np.random.default_rng(0)
    start = rng.standard_normal(1000).astype(dtype)
    theirs = optimizer_in_double(recipe, rescale_grad=1 / BATCH)
    weight = mx.nd.array(start, dtype=dtype)
    state = theirs.create_state(0, weight)
    values = torch.from_numpy(start.copy())
    ours = Optimizer(recipe, values, BATCH)
    for step in range(10):
        rate = recipe.learning_rate_at(step, 10)
        gradient = (rng.standard_normal(1000) * 10).astype(dtype)
        theirs.set_learning_rate(rate)
        theirs.update(0, weight, mx.nd.array(gradient, dtype=dtype), state)
        ours.step(torch.from_numpy(gradient.copy()), torch.tensor([rate], dtype=values.dtype))
        change = {"values": weight.asnumpy() - start}
        found = difference({"values": weight.asnumpy()}, {"values": values.numpy()}, change)
        assert found < (2e-6 if dtype == "float32" else 3e-7), step


@settings(max_examples=10)
@given(architectures(st.integers(1, 12)), st.sampled_from(list(OPTIMIZERS)))
def test_one_step_of_any_network_is_the_same(architecture: Architecture, optimizer: str) -> None:
    data = random_data(architecture.input_shape, architecture.classes)
    parameters, running = after_training(architecture, data, steps(1, optimizer), in_double=True)
    assert parameters < 1e-6
    assert running < 1e-6


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_ten_steps_are_the_same(optimizer: str, batch_norm: bool, digits: Dataset) -> None:
    """In float64. In float32, rounding may bring a ReLU to its other side, and others follow."""
    for relu_output, same_shape in ((False, False), (True, True)):
        classes = BLOCKS[-1].out_channels if same_shape else 10
        network = Architecture(BLOCKS, batch_norm, relu_output, same_shape, classes, (1, 8, 8))
        parameters, running = after_training(network, digits, steps(1, optimizer))
        assert parameters < 3e-3
        assert running < 1e-5
        parameters, running = after_training(network, digits, steps(10, optimizer), in_double=True)
        assert parameters < 3e-5
        assert running < 3e-6


def test_engines_differ_less_than_seeds(digits: Dataset) -> None:
    recipe = Recipe(epochs=3, batch_size=64)
    engines: list[float] = []
    seeds: list[float] = []
    for batch_norm in (False, True):
        network = Architecture(BLOCKS[1:], batch_norm, False, input_shape=(1, 8, 8))
        gluon, other, torchs = (
            curve(engine, network, digits, recipe, seed)
            for engine, seed in (("gluon", 1), ("gluon", 2), ("torch", 1))
        )
        engines.append(between(gluon, torchs, "val_loss"))
        seeds.append(between(gluon, other, "val_loss"))
    assert statistics.mean(engines) < statistics.mean(seeds)
