"""Whole networks, against their cost model and against numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.networks import architectures, built
from helpers.numpy_layers import (
    fill,
    max_pool,
    random_images,
    residual_pre_activated,
    unit_convolution,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_incep.architecture import NOTEBOOK, Architecture, Block, stages
from nas_incep.datasets import load
from nas_incep.engines.gluon import layers
from nas_incep.engines.gluon.networks import (
    build_autoencoder,
    build_network,
    count_macs,
    count_parameters,
)
from nas_incep.engines.gluon.runtime import mx
from nas_incep.engines.gluon.training import initialize
from nas_incep.stages import parameters_of

nn: Any = mx.gluon.nn
CPU = mx.cpu(0)


@settings(deadline=None, max_examples=20)
@given(architectures(st.just(4)))
def test_laws_of_every_network(architecture: Architecture) -> None:
    network = built(architecture)
    # Names, shapes, order and costs are known without building the network.
    parameters = parameters_of(architecture)
    gluon = network._collect_params_with_prefix()
    assert [(p.name, p.shape) for p in parameters] == [(k, p.shape) for k, p in gluon.items()]
    assert [p.trainable for p in parameters] == [p.grad_req != "null" for p in gluon.values()]
    assert all(p.name.rpartition(".")[2] == p.kind for p in parameters)
    assert count_parameters(network) == architecture.parameters
    assert count_macs(network, architecture.input_shape) == architecture.macs
    fill(network)
    x = mx.nd.array(random_images(3, *architecture.input_shape))
    out = network(x).asnumpy()
    assert out.shape == (3, architecture.classes)
    assert np.isfinite(out).all()
    assert out == pytest.approx(by_hand(network, x.asnumpy()), abs=1e-3, rel=1e-3)
    # Every trainable parameter is part of the loss: the backward pass writes all of its gradient.
    trainable = {k: p for k, p in network.collect_params().items() if p.grad_req != "null"}
    for parameter in trainable.values():
        parameter.grad()[:] = np.nan
    with mx.autograd.record():
        loss = (network(x) ** 2).sum()
    loss.backward()
    for name, parameter in trainable.items():
        assert np.isfinite(parameter.grad().asnumpy()).all(), name
    # One graph or layer by layer, the network is the same.
    out = network(x).asnumpy()
    network.hybridize(static_alloc=True, static_shape=True)
    assert network(x).asnumpy() == pytest.approx(out, rel=1e-4, abs=1e-5)


def by_hand(network: Any, x: np.ndarray) -> np.ndarray:
    architecture = network.architecture
    normalized = architecture.batch_norm
    for block in network.features:
        for unit in list(block)[:-1]:
            p2 = unit_convolution(x, unit.p2_conv_1, 0, normalized)
            p3 = unit_convolution(x, unit.p3_conv_1, 0, normalized)
            branches = [
                unit_convolution(x, unit.p1_conv_1, 0, normalized),
                unit_convolution(p2, unit.p2_conv_3, 1, normalized),
                unit_convolution(p3, unit.p3_conv_5, 2, normalized),
                unit_convolution(max_pool(x, 3, 1, 1), unit.p4_conv_1, 0, normalized),
            ]
            x = np.concatenate(branches, axis=1)
        height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
        x = max_pool(x[:, :, :height, :width], 2, 2, 0)
    same_shape, relu_output = architecture.same_shape, architecture.relu_output
    head = residual_pre_activated(x, network.output[0], same_shape, relu_output)
    return head.mean(axis=(2, 3))


def test_gradients_reach_the_first_layer_and_are_not_zero() -> None:
    architecture = Architecture((Block(2, 8, 8, 8, 8, 8, 8),), True, False, input_shape=(1, 8, 8))
    network = built(architecture)
    with mx.autograd.record():
        loss = (network(mx.nd.array(random_images(16, 1, 8, 8))) ** 2).sum()
    loss.backward()
    for name, parameter in network.collect_params().items():
        if parameter.grad_req != "null":
            assert np.abs(parameter.grad().asnumpy()).max() > 0, name


def test_stages_have_the_shapes_of_the_network() -> None:
    block = Block(1, 1, 2, 3, 4, 5, 6)
    architecture = Architecture((block, block), classes=7, input_shape=(2, 9, 13))
    network = built(architecture)
    x = mx.nd.zeros((1, 2, 9, 13))
    shapes = []
    for block in network.features:
        for layer in block:
            x = layer(x)
            shapes.append(x.shape[1:])
    head, pooling, flatten = network.output
    x = head(x)
    shapes += [x.shape[1:]] * 3
    shapes.append(flatten(pooling(x)).shape[1:])
    assert shapes == [stage.out_shape for stage in stages(architecture)]


def test_macs_of_transposed_and_dense_layers() -> None:
    network = nn.HybridSequential()
    network.add(
        nn.Conv2DTranspose(4, kernel_size=3, strides=2),  # (3, 5, 6) to (4, 11, 13)
        nn.BatchNorm(),
        nn.Conv2DTranspose(2, kernel_size=2),  # to (2, 12, 14)
        nn.Conv2D(6, kernel_size=3, strides=2, groups=2),  # to (6, 5, 6)
        nn.Dense(7),
    )
    network.initialize()
    macs = 5 * 6 * 3 * 4 * 9 + 11 * 13 * 4 * 2 * 4 + 5 * 6 * 6 * 1 * 9 + 6 * 5 * 6 * 7
    assert count_macs(network, (3, 5, 6)) == macs


def test_equal_seeds_give_equal_parameters_and_others_do_not() -> None:
    architecture = Architecture((Block(1, 2, 2, 2, 2, 2, 2),), True, input_shape=(1, 8, 8))

    def values(seed: int, network: Any) -> dict[str, np.ndarray]:
        initialize(network, "msra", seed, architecture.input_shape, CPU)
        parameters = network._collect_params_with_prefix()
        return {name: parameter.data().asnumpy() for name, parameter in parameters.items()}

    network = build_network(architecture)
    first = values(3, network)
    for name, found in values(3, build_network(architecture)).items():
        assert np.array_equal(found, first[name]), name
    values(4, network)
    for name, found in values(3, network).items():  # a network that had other values before
        assert np.array_equal(found, first[name]), name
    other = values(4, network)
    weights = [name for name in first if name.endswith("weight")]
    assert weights
    assert not any(np.array_equal(other[name], first[name]) for name in weights)


def test_plain_gluon_saves_and_loads_a_network(tmp_path: Path) -> None:
    architecture = Architecture((Block(2, 1, 2, 3, 2, 1, 2),), True, input_shape=(2, 6, 6))
    network = built(architecture)
    fill(network)
    path = str(tmp_path / "network.params")
    network.save_parameters(path)
    other = build_network(architecture)
    other.load_parameters(path, ctx=CPU)
    x = mx.nd.array(random_images(3, 2, 6, 6))
    assert np.array_equal(other(x).asnumpy(), network(x).asnumpy())
    # The two parts put together without this package's Network class.
    parts = nn.HybridSequential(prefix="parts_")
    with parts.name_scope():
        parts.add(layers.vgg_stack(architecture.blocks, batch_norm=True), nn.HybridSequential())
        parts[1].add(
            layers.PreActivatedResidual(architecture.classes), nn.GlobalAvgPool2D(), nn.Flatten()
        )
    named = {
        name.replace("features.", "0.").replace("output.", "1."): value
        for name, value in mx.nd.load(path).items()
    }
    again = str(tmp_path / "parts.params")
    mx.nd.save(again, named)
    parts.load_parameters(again)
    assert np.array_equal(parts(x).asnumpy(), network(x).asnumpy())


def test_the_notebooks_own_cell_is_the_notebook_network() -> None:
    n_classes = 10
    nin = layers.NIN(n_classes)
    net = nn.HybridSequential()
    with net.name_scope():
        net.add(nin, nn.GlobalAvgPool2D(), nn.Flatten())
    net.initialize(ctx=CPU, init=mx.init.MSRAPrelu())
    x = mx.nd.array(random_images(2, 3, 32, 32))
    net(x)
    network = built(NOTEBOOK)
    assert count_parameters(net) == count_parameters(network) == NOTEBOOK.parameters
    assert count_macs(network, (3, 32, 32)) == NOTEBOOK.macs
    fill(net)

    def by_shape(block: Any) -> dict[tuple[int, ...], list[Any]]:
        found: dict[tuple[int, ...], list[Any]] = {}
        for parameter in block.collect_params().values():
            found.setdefault(parameter.shape, []).append(parameter)
        return found

    ours, theirs = by_shape(network), by_shape(net)
    assert {shape: len(group) for shape, group in ours.items()} == {
        shape: len(group) for shape, group in theirs.items()
    }
    for shape, group in ours.items():
        for mine, its in zip(group, theirs[shape]):
            mine.set_data(its.data())
    found, expected = network(x).asnumpy(), net(x).asnumpy()
    assert expected.std() > 0
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


# The autoencoder.


@pytest.mark.parametrize("height, width", [(8, 8), (9, 7), (4, 5)])
def test_the_autoencoder_gives_images_of_the_same_shape(height: int, width: int) -> None:
    block = Block(1, 1, 2, 1, 2, 1, 2)
    shape = (2, height, width)
    network = build_autoencoder(Architecture((block, block), input_shape=shape))
    network.initialize()
    assert network(mx.nd.zeros((3, *shape))).shape == (3, *shape)


def test_the_decoder_mirrors_the_encoder() -> None:
    blocks = (Block(1, 1, 1, 1, 1, 1, 1), Block(2, 2, 1, 1, 1, 1, 3))
    network = build_autoencoder(Architecture(blocks, batch_norm=True, input_shape=(2, 8, 8)))
    network.initialize()
    x = network.encoder(mx.nd.zeros((1, 2, 8, 8)))
    shapes = [x.shape]
    for block in network.decoder:
        shapes.append((x := block(x)).shape)
    assert shapes == [(1, 7, 2, 2), (1, 9, 5, 5), (1, 6, 11, 11)]
    assert [len(block) for block in network.decoder] == [3, 2]  # units and the up-sampling


def test_the_autoencoder_learns_to_rebuild_digits() -> None:
    digits = load("digits").train.images[:256]
    images = ((digits / 255.0 - digits.mean() / 255) / (digits.std() / 255)).astype(np.float32)
    architecture = Architecture((Block(1, 8, 8, 8, 4, 8, 8),), True, input_shape=(1, 8, 8))
    network = build_autoencoder(architecture)
    initialize(network, "msra", 0, architecture.input_shape, CPU)
    network.hybridize()
    trainer = mx.gluon.Trainer(network.collect_params(), "adam", {"learning_rate": 0.01})
    losses = []
    for step in range(80):
        start = step % 4 * 64
        x = mx.nd.array(images[start : start + 64])
        with mx.autograd.record():
            loss = ((network(x) - x) ** 2).mean()
        loss.backward()
        trainer.step(1)
        losses.append(float(loss.asscalar()))
    assert losses[0] > 0.5
    assert np.mean(losses[-4:]) < 0.25  # the images' variance is 1
