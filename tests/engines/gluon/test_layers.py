"""The building blocks, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.numpy_layers import (
    batch_norm,
    convolution,
    fill,
    max_pool,
    random_images,
    relu,
    residual_pre_activated,
    unit_convolution,
)

from nas_incep.architecture import NOTEBOOK, Block
from nas_incep.engines.gluon import layers
from nas_incep.engines.gluon.runtime import mx


@pytest.mark.parametrize("normalized", [False, True])
def test_inception_is_its_four_branches_side_by_side(normalized: bool) -> None:
    unit = layers.Inception(2, 3, 4, 5, 6, 7, batch_norm=normalized)
    unit.initialize()
    x = random_images(2, 3, 6, 5)
    unit(mx.nd.array(x))
    fill(unit)
    found = unit(mx.nd.array(x)).asnumpy()
    p2 = unit_convolution(x, unit.p2_conv_1, 0, normalized)
    p3 = unit_convolution(x, unit.p3_conv_1, 0, normalized)
    expected = [
        unit_convolution(x, unit.p1_conv_1, 0, normalized),
        unit_convolution(p2, unit.p2_conv_3, 1, normalized),
        unit_convolution(p3, unit.p3_conv_5, 2, normalized),
        unit_convolution(max_pool(x, 3, 1, 1), unit.p4_conv_1, 0, normalized),
    ]
    assert [branch.shape[1] for branch in expected] == [2, 4, 6, 7]
    assert found == pytest.approx(np.concatenate(expected, axis=1), abs=1e-4)


@pytest.mark.parametrize("same_shape", [True, False])
def test_residual_is_the_tutorials_unit(same_shape: bool) -> None:
    unit = layers.Residual(4, same_shape)
    unit.initialize()
    x = random_images(2, 4, 5, 6)
    unit(mx.nd.array(x))
    fill(unit)
    stride = 1 if same_shape else 2
    out = relu(batch_norm(convolution(x, unit.conv1, 1, stride), unit.bn1))
    out = batch_norm(convolution(out, unit.conv2, 1), unit.bn2)
    expected = relu(out + (x if same_shape else convolution(x, unit.conv3, 0, stride)))
    assert expected.shape == ((2, 4, 5, 6) if same_shape else (2, 4, 3, 3))
    assert unit(mx.nd.array(x)).asnumpy() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("same_shape", [True, False])
@pytest.mark.parametrize("relu_output", [True, False])
def test_the_head_activates_before_each_convolution(same_shape: bool, relu_output: bool) -> None:
    unit = layers.PreActivatedResidual(4, same_shape, relu_output)
    unit.initialize()
    x = random_images(2, 4, 5, 6)
    unit(mx.nd.array(x))
    fill(unit)
    found = unit(mx.nd.array(x)).asnumpy()
    expected = residual_pre_activated(x, unit, same_shape, relu_output)
    assert found == pytest.approx(expected, abs=1e-4)
    assert (found.min() >= 0) == relu_output


def test_a_vgg_block_is_units_and_one_pooling() -> None:
    block = layers.vgg_block(2, 1, 2, 3, 4, 5, 6)
    assert [type(layer).__name__ for layer in block] == ["Inception", "Inception", "MaxPool2D"]
    block.initialize()
    x = mx.nd.array(random_images(2, 3, 7, 6))
    before = block[1](block[0](x)).asnumpy()
    assert before.shape == (2, 15, 7, 6)
    assert np.array_equal(block(x).asnumpy(), max_pool(before[:, :, :6], 2, 2, 0))


@pytest.mark.parametrize("block", NOTEBOOK.blocks)
def test_transposed_blocks_have_the_notebooks_shapes(block: Block) -> None:
    transposed = layers.vgg_block_transpose(*block)
    transposed.initialize()
    out = transposed(mx.nd.zeros((1, 4, 2, 3)))
    assert out.shape == (1, sum(block[1:]), 5, 7)


def test_transposed_stacks_have_the_notebooks_shapes() -> None:
    # Only the shapes: the graph is asked, nothing is computed.
    stack = layers.vgg_stack_transpose([list(block) for block in NOTEBOOK.blocks])  # type: ignore[misc]
    _, (shape,), _ = stack(mx.sym.Variable("data")).infer_shape(data=(1, 256, 8, 8))
    assert shape == (1, sum(NOTEBOOK.blocks[1][1:]), 35, 35)
