"""The latency of a network: what is measured, and that measuring leaves no trace."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from helpers.networks import built

from nas_incep.architecture import Architecture, Block
from nas_incep.datasets import Dataset, load
from nas_incep.engines.gluon.baselines import build_baseline
from nas_incep.engines.gluon.latency import measure_latency
from nas_incep.engines.gluon.networks import build_network, count_macs
from nas_incep.engines.gluon.runtime import mx
from nas_incep.engines.gluon.training import Training, initialize
from nas_incep.recipe import Recipe
from nas_incep.records import EpochResult

nn: Any = mx.gluon.nn
CPU = mx.cpu(0)
# Widths that oneDNN keeps in layouts of its own.
DIGITS = Architecture((Block(1, 16, 16, 16, 16, 16, 16),), True, input_shape=(1, 8, 8))
RECIPE = Recipe(epochs=2, batch_size=32, learning_rate=0.1, images_per_epoch=320)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


def of_width(width: int) -> Architecture:
    return Architecture((Block(1, *[width] * 6),) * 2, input_shape=(3, 32, 32))


def parameters(network: Any) -> dict[str, np.ndarray]:
    return {
        name: parameter.data().asnumpy()
        for name, parameter in network._collect_params_with_prefix().items()
    }


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one) and list(one) == list(other)


# What is measured. Other processes may keep the machine busy, so figures are compared roughly.


@pytest.mark.parametrize("device", [mx.cpu(0), mx.cpu(1)], ids=str)
def test_a_latency_is_a_time(device: Any) -> None:
    latency = measure_latency(built(DIGITS, device=device), DIGITS.input_shape, device)
    assert isinstance(latency, float)
    assert 0 < latency < math.inf


def test_thirty_times_the_work_takes_longer() -> None:
    # Alone on a machine it takes some twenty times as long.
    small, large = of_width(32), of_width(176)
    assert large.macs > 29 * small.macs
    few, many = (measure_latency(built(arch), arch.input_shape, CPU) for arch in (small, large))
    assert many > few


def test_measuring_again_gives_a_like_figure() -> None:
    architecture = of_width(32)
    network = built(architecture)
    # Any of them may meet a busy moment of the machine; the quickest two are likely free of it.
    found = sorted(measure_latency(network, architecture.input_shape, CPU) for _ in range(5))
    assert found[1] < 2 * found[0]


def test_a_baseline_behind_a_resize_can_be_measured() -> None:
    network = build_baseline("cifar_resnet20_v1@16", 10, (1, 8, 8))
    assert measure_latency(network, (1, 8, 8), CPU) > 0


# No trace is left.


@pytest.mark.parametrize("batch_norm", [False, True])
def test_training_goes_on_as_if_nothing_had_been_measured(
    digits: Dataset, batch_norm: bool
) -> None:
    architecture = dataclasses.replace(DIGITS, batch_norm=batch_norm)

    def trained(measured: bool) -> tuple[list[EpochResult], dict[str, np.ndarray]]:
        training = Training(build_network(architecture), digits, RECIPE, 3, CPU)
        curve = []
        for _ in range(RECIPE.epochs):
            if measured:
                measure_latency(training.network, architecture.input_shape, CPU)
            point = training.run_epoch()
            curve.append(dataclasses.replace(point, train_seconds=0, eval_seconds=0))
        return curve, parameters(training.network)

    plain_curve, plain_parameters = trained(measured=False)
    curve, found = trained(measured=True)
    assert curve == plain_curve
    assert same(found, plain_parameters)


def test_parameters_and_running_statistics_stay(digits: Dataset) -> None:
    training = Training(build_network(DIGITS), digits, RECIPE, 3, CPU)
    training.run_epoch()
    before = parameters(training.network)
    assert any("running_var" in name for name in before)
    with mx.autograd.record():  # in training mode, which batch normalization would follow
        measure_latency(training.network, DIGITS.input_shape, CPU)
    assert same(parameters(training.network), before)


def test_random_numbers_are_not_drawn() -> None:
    network = nn.HybridSequential()
    network.add(nn.Conv2D(16, 3), nn.Dropout(0.5), nn.Dense(10))
    initialize(network, "xavier", 0, (1, 8, 8), CPU)

    def draws(measured: bool) -> list[np.ndarray]:
        mx.random.seed(5)
        np.random.seed(5)
        if measured:
            measure_latency(network, (1, 8, 8), CPU)
        with mx.autograd.train_mode():
            dropped = network(mx.nd.ones((2, 1, 8, 8))).asnumpy()
        return [dropped, mx.nd.random.normal(shape=(8,)).asnumpy(), np.random.random(8)]

    for plain, found in zip(draws(measured=False), draws(measured=True)):
        assert np.array_equal(plain, found)


@pytest.mark.parametrize("hybrid", [False, True])
def test_the_networks_own_graphs_stay(hybrid: bool) -> None:
    network = built(DIGITS)
    if hybrid:
        network.hybridize(static_alloc=True)
        network(mx.nd.zeros((1, *DIGITS.input_shape))).wait_to_read()
    blocks: list[Any] = []
    network.apply(blocks.append)

    def state() -> list[tuple[Any, ...]]:
        names = ("_active", "_flags", "_cached_op", "_cached_graph")
        return [tuple(getattr(block, name, None) for name in names) for block in blocks]

    before = state()
    assert (before[-1][2] is not None) == hybrid  # the whole network's own graph
    measure_latency(network, DIGITS.input_shape, CPU)
    after = state()
    assert [(one[0], one[1]) for one in after] == [(one[0], one[1]) for one in before]
    assert all(a[2] is b[2] and a[3] is b[3] for a, b in zip(after, before))
    assert count_macs(network, DIGITS.input_shape) == DIGITS.macs
