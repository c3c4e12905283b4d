"""Architectures: validity, identity, cost by hand. Costs against built networks stand in
test_networks."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from helpers.architectures import BLOCK, architectures, fault
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nas_incep import architecture
from nas_incep.architecture import (
    MAX_CONVS,
    MAX_TENSOR,
    MAX_WIDTH,
    NOTEBOOK,
    Architecture,
    Block,
    from_json,
)
from nas_incep.errors import InputError
from nas_incep.stages import parameters_of

# Validity: each rule by itself, then all of them at once.


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"batch_norm": 1}, "batch_norm is 1: true or false is expected"),
        ({"relu_output": "yes"}, "relu_output is 'yes': true or false is expected"),
        ({"same_shape": None}, "same_shape is None: true or false is expected"),
        ({"classes": 0}, "classes is 0: an integer from 1 to 8192 is expected"),
        ({"classes": 8193}, "classes is 8193: an integer from 1 to 8192 is expected"),
        ({"classes": True}, "classes is True: an integer from 1 to 8192 is expected"),
        ({"classes": 10.0}, "classes is 10.0: an integer from 1 to 8192 is expected"),
        ({"classes": float("nan")}, "classes is nan: an integer from 1 to 8192 is expected"),
        (
            {"input_shape": (3, 32)},
            "input_shape is not a list of three integers: channels, height, width",
        ),
        ({"input_shape": 32}, "input_shape is not a list of three integers"),
        ({"input_shape": (0, 32, 32)}, "input_shape's channels is 0"),
        ({"input_shape": (3, 32.5, 32)}, "input_shape's height is 32.5"),
        ({"input_shape": (3, 32, False)}, "input_shape's width is False"),
        ({"blocks": []}, "blocks is not a list of at least one block"),
        ({"blocks": "many"}, "blocks is not a list of at least one block"),
        ({"blocks": 3}, "blocks is not a list of at least one block"),
        (
            {"blocks": [BLOCK, [1, 2]]},
            "blocks[1] is [1, 2]: seven integers are expected "
            "(num_convs, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1)",
        ),
        ({"blocks": [7]}, "blocks[0] is 7: seven integers are expected"),
        ({"blocks": ["1234567"]}, "blocks[0] is '1234567': seven integers are expected"),
        (
            {"blocks": [[MAX_CONVS + 1, *BLOCK[1:]]]},
            "blocks[0].num_convs is 65: an integer from 1 to 64 is expected",
        ),
        ({"blocks": [[0, *BLOCK[1:]]]}, "blocks[0].num_convs is 0"),
        (
            {"blocks": [[*BLOCK[:6], MAX_WIDTH + 1]]},
            "blocks[0].n4_1 is 8193: an integer from 1 to 8192 is expected",
        ),
        ({"blocks": [[1, True, 3, 4, 5, 6, 7]]}, "blocks[0].n1_1 is True"),
        ({"blocks": [[1, 2, 3.0, 4, 5, 6, 7]]}, "blocks[0].n2_1 is 3.0"),
        ({"blocks": [[1, 2, 3, float("nan"), 5, 6, 7]]}, "blocks[0].n2_3 is nan"),
        ({"blocks": [[1, 2, 3, 4, -5, 6, 7]]}, "blocks[0].n3_1 is -5"),
        ({"blocks": [[1, 2, 3, 4, 5, "6", 7]]}, "blocks[0].n3_5 is '6'"),
        (
            {"blocks": [BLOCK] * 4, "input_shape": (3, 64, 15)},
            "4 blocks halve 64x15 images to nothing: at most 3 are possible",
        ),
        (
            {"same_shape": True},
            "same_shape adds the last block's 19 maps to 10 class maps: "
            "n1_1 + n2_3 + n3_5 + n4_1 must equal the number of classes",
        ),
        (
            {"blocks": [[1, 8192, 1, 8192, 1, 8192, 8192]], "classes": 8192},
            f"one convolution has {4 * 8192 * 8192 * 9} weights; at most {MAX_TENSOR} fit",
        ),
    ],
)
def test_each_rule_is_named_with_the_value(fields: dict[str, Any], expected: str) -> None:
    text = fault(**fields)
    assert text.startswith(f"impossible architecture: {expected}")
    assert ";" not in text.replace("weights;", "")  # one fault, one phrase


def test_all_faults_are_named_at_once() -> None:
    text = fault(
        blocks=[[0, 1, 1, 1, 1, 1, 1.5], "no block"],
        batch_norm="on",
        same_shape=2,
        classes=None,
        input_shape=(0, 1, 8193),
    )
    for place in (
        "blocks[0].num_convs",
        "blocks[0].n4_1",
        "blocks[1]",
        "batch_norm",
        "same_shape",
        "classes",
        "input_shape's channels",
        "input_shape's width",
    ):
        assert place in text
    assert text.count(" expected") == 8


@pytest.mark.parametrize("pixels, most", [(1, 0), (2, 1), (3, 1), (31, 4), (32, 5)])
def test_as_many_blocks_as_leave_a_pixel(pixels: int, most: int) -> None:
    if most:
        last = architecture.stages(Architecture([BLOCK] * most, input_shape=(3, pixels, 99)))
        assert last[most * 2 - 1].out_shape[1] == 1
    assert f"at most {most} are possible" in fault(
        blocks=[BLOCK] * (most + 1), input_shape=(3, pixels, 99)
    )


# Identity: the same for equal networks, another for any other.


def test_the_notebooks_numbers_do_not_change() -> None:
    assert NOTEBOOK.identity == "c1eb8f3a5bc1"
    assert NOTEBOOK.parameters == 1207622
    assert NOTEBOOK.macs == 527544384


def test_identity_does_not_depend_on_who_wrote_it_down() -> None:
    plain = Architecture(((1, 2, 3, 4, 5, 6, 7),), classes=10, input_shape=(3, 32, 32))  # type: ignore[arg-type]
    others = [
        Architecture([BLOCK]),  # type: ignore[arg-type]
        Architecture((Block(*BLOCK),), input_shape=[3, 32, 32]),  # type: ignore[arg-type]
        Architecture(
            [[np.int64(width) for width in BLOCK]],  # type: ignore[arg-type]
            classes=np.int32(10),  # type: ignore[arg-type]
            input_shape=tuple(np.uint8([3, 32, 32])),
        ),
    ]
    for other in others:
        assert other == plain
        assert hash(other) == hash(plain)
        assert other.identity == plain.identity
        assert type(other.classes) is int
        assert {type(number) for block in other.blocks for number in block} == {int}


@settings(deadline=None)
@given(architectures(), st.data())
def test_any_changed_field_changes_the_identity(arch: Architecture, data: st.DataObject) -> None:
    names = [field.name for field in dataclasses.fields(arch)]
    name = data.draw(st.sampled_from(names))
    value = getattr(data.draw(architectures()), name)
    assume(value != getattr(arch, name))
    try:
        other = dataclasses.replace(arch, **{name: value})
    except InputError:
        assume(False)
    assert other != arch
    assert other.identity != arch.identity


def test_the_order_of_the_blocks_and_each_width_count() -> None:
    block, other = BLOCK, [2, *BLOCK[1:]]
    changed = [[*BLOCK[:i], BLOCK[i] + 1, *BLOCK[i + 1 :]] for i in range(7)]
    stacks = [[block, other], [other, block], [block], *([wider] for wider in changed)]
    assert len({from_json(stack).identity for stack in stacks}) == len(stacks)


# Cost of a network that is small enough for a sheet of paper.


@pytest.mark.parametrize("batch_norm", [False, True])
def test_cost_by_hand(batch_norm: bool) -> None:
    arch = Architecture((Block(1, 1, 2, 3, 4, 5, 6),), batch_norm, classes=7, input_shape=(2, 5, 4))
    weights = 2 * 1 + 2 * 2 + 2 * 3 * 9 + 2 * 4 + 4 * 5 * 25 + 2 * 6
    maps = 1 + 2 + 3 + 4 + 5 + 6
    # After the pooling 15 maps of 2x2, and the head's are 1x1.
    head_weights = 15 * 7 * 9 + 7 * 7 * 9 + 15 * 7
    head_others = 3 * 7 + 2 * 15 + 2 * 7  # biases; gamma and beta
    assert arch.parameters == weights + maps * (2 if batch_norm else 1) + head_weights + head_others
    assert arch.macs == weights * 20 + head_weights
    steps = architecture.stages(arch)
    assert sum(stage.parameters for stage in steps) == arch.parameters
    assert sum(p.size for p in parameters_of(arch) if p.trainable) == arch.parameters
    shapes = [stage.out_shape for stage in steps]
    assert shapes == [(15, 5, 4), (15, 2, 2), (7, 1, 1), (7, 1, 1), (7, 1, 1), (7,)]


# Canonical names. That they are the built network's, in its order, stands in test_networks.


@pytest.mark.parametrize(
    "batch_norm, expected",
    [
        (
            False,
            [
                ("features.0.0.p2_conv_3.weight", (3, 2, 3, 3), "weight"),
                ("features.0.0.p2_conv_3.bias", (3,), "bias"),
            ],
        ),
        (
            True,
            [
                ("features.0.0.p2_conv_3.0.weight", (3, 2, 3, 3), "weight"),
                ("features.0.0.p2_conv_3.1.gamma", (3,), "gamma"),
                ("features.0.0.p2_conv_3.1.beta", (3,), "beta"),
                ("features.0.0.p2_conv_3.1.running_mean", (3,), "running_mean"),
                ("features.0.0.p2_conv_3.1.running_var", (3,), "running_var"),
            ],
        ),
    ],
)
def test_canonical_parameters_of_a_convolution(
    batch_norm: bool, expected: list[tuple[str, tuple[int, ...], str]]
) -> None:
    arch = Architecture((Block(1, 1, 2, 3, 4, 5, 6),), batch_norm)
    found = [p for p in parameters_of(arch) if p.name.startswith("features.0.0.p2_conv_3.")]
    assert found == expected
    assert [p.kind for p in found if not p.trainable] == (
        ["running_mean", "running_var"] if batch_norm else []
    )


@given(architectures())
def test_every_parameter_has_a_name_and_a_place_of_its_own(arch: Architecture) -> None:
    steps = architecture.stages(arch)
    names = [p.name for p in parameters_of(arch)]
    assert len(set(names)) == len(names)
    assert names == [p.name for stage in steps for p in stage.tensors]
    for stage in steps:
        for branch in stage.branches:
            for first, second in zip(branch, branch[1:]):
                assert second.inputs == first.outputs
