"""Search spaces: sampling, membership, size and costs by brute force."""

from __future__ import annotations

import math

import pytest
from helpers.spaces import HEAD, ONES, SOUND, VARIED, Recorder, members, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_incep.architecture import Architecture, Block
from nas_incep.errors import InputError
from nas_incep.spaces.reader import parse_space, with_limits
from nas_incep.spaces.space import (
    VARIANTS,
    Choice,
    SearchSpace,
    excess,
    latency_excess,
    over_latency,
    over_limits,
)

# Sampling.


def test_blocks_have_names_of_their_own_and_overrides() -> None:
    space = parse(VARIED)
    trial = Recorder({"blocks": 2, "b0.n1_1": 5, "b1.n3_5": 2, "same_shape": False})
    arch = space.sample(trial, 10, (1, 8, 8))
    assert arch.blocks == (Block(1, 5, 2, 1, 3, 2, 1), Block(1, 2, 2, 1, 3, 2, 1))
    assert trial.asked["b0.n1_1"] == range(1, 6, 2)
    assert trial.asked["b1.n3_5"] == range(1, 3)
    assert trial.asked["b1.num_convs"] == (1, 2)  # ascending, from [parameters]
    assert trial.asked["blocks"] == (1, 2)


def test_single_values_are_not_asked_for() -> None:
    trial = Recorder({"blocks": 2})
    parse(VARIED).sample(trial, 10, (1, 8, 8))
    assert list(trial.asked) == [
        "blocks", "b0.num_convs", "b0.n1_1", "b0.n2_3", "b1.num_convs", "b1.n2_3", "b1.n3_5",
        "batch_norm", "same_shape",
    ]  # fmt: skip
    trial = Recorder()
    parse(HEAD + "blocks = 1\n[parameters]\n" + ONES).sample(trial, 10, (1, 8, 8))
    assert trial.asked == {}


def test_parameters_of_unused_blocks_are_not_asked_for() -> None:
    trial = Recorder({"blocks": 1})
    parse(VARIED).sample(trial, 10, (1, 8, 8))
    assert not any(name.startswith("b1.") for name in trial.asked)


def test_an_impossible_sample_is_an_input_error() -> None:
    with pytest.raises(InputError, match="halve 3x3 images to nothing"):
        parse(VARIED).sample(Recorder({"blocks": 2}), 10, (1, 3, 3))


def test_parameters_of_undoes_sample() -> None:
    space = parse(VARIED)
    for arch in members(space, 8, (1, 8, 8)):
        if arch is not None:
            parameters = space.parameters_of(arch.blocks, vars(arch))
            assert space.sample(Recorder(parameters), 8, (1, 8, 8)) == arch


# Membership.


def test_outside_says_why() -> None:
    space = parse(VARIED)
    inside = {"batch_norm": True, "relu_output": True, "same_shape": False}
    block = Block(1, 5, 2, 4, 3, 2, 1)
    assert space.outside((block,), inside) == []
    assert space.outside((block,) * 3, inside) == ["it has 3 blocks, the space has 1, 2"]
    assert space.outside((block, block), inside) == [
        "blocks[1].n1_1 is 5, which the space does not offer"
    ]
    assert space.outside((block._replace(n2_1=3, n4_1=2),), {**inside, "relu_output": False}) == [
        "blocks[0].n2_1 is 3, which the space does not offer",
        "blocks[0].n4_1 is 2, which the space does not offer",
        "relu_output is False, which the space does not offer",
    ]


def test_limits_decide_membership_up_to_equality() -> None:
    arch = Architecture((Block(1, 1, 1, 1, 1, 1, 1),), input_shape=(1, 8, 8))
    for what, cost in (("params", arch.parameters), ("macs", arch.macs)):
        for limit, value, kept in (
            ("max", cost, True),
            ("max", cost - 1, False),
            ("min", cost, True),
            ("min", cost + 1, False),
        ):
            text = f"{HEAD}blocks = 1\n[parameters]\n{ONES}[limits]\n{limit}_{what} = {value}\n"
            space = parse(text)
            assert space.contains(arch) is kept
            broken = over_limits(space.limits, arch)
            key = f"{limit}_{what}"
            expected = f"{key} is {value:,}, the architecture has {cost:,}"
            assert broken == ([] if kept else [expected])


def test_excess_is_a_part_of_the_limit() -> None:
    arch = Architecture((Block(1, 1, 1, 1, 1, 1, 1),), input_shape=(1, 8, 8))
    limits = {"max_params": 2 * arch.parameters, "max_macs": arch.macs // 2}
    limits.update(min_params=2 * arch.parameters, min_macs=arch.macs // 2)
    found = excess(limits, arch)
    assert found["max_params"] == found["max_macs"] * -0.5 == -0.5
    assert found["min_params"] == 0.5
    assert found["min_macs"] == -1.0


def test_a_limit_on_the_latency_waits_for_a_measurement() -> None:
    space = parse(f"{HEAD}blocks = 1\n[parameters]\n{ONES}[limits]\nmax_latency_ms = 2.5\n")
    arch = Architecture((Block(1, 1, 1, 1, 1, 1, 1),), input_shape=(1, 8, 8))
    assert excess(space.limits, arch) == {}
    assert over_limits(space.limits, arch) == []
    assert space.contains(arch)
    for latency in (0.1, 2.5):
        assert latency_excess(space.limits, latency) is None
        assert over_latency(space.limits, latency) == []
    assert latency_excess(space.limits, 3.0) == pytest.approx(0.2)
    assert over_latency(space.limits, 3.0) == ["max_latency_ms is 2.5, the network takes 3.000 ms"]
    assert latency_excess({}, 1e9) is None
    assert over_latency({}, 1e9) == []


def test_a_limit_on_the_latency_can_be_changed_but_not_to_nonsense() -> None:
    space = parse(SOUND + "[limits]\nmax_macs = 7\nmax_latency_ms = 4\n")
    assert space.limits == {"max_macs": 7, "max_latency_ms": 4}
    assert with_limits(space, {"max_latency_ms": None}).limits == space.limits
    assert with_limits(space, {"max_latency_ms": 3.5}).limits["max_latency_ms"] == 3.5
    for value in (0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match=r"max_latency_ms is .+: a positive number"):
            with_limits(space, {"max_latency_ms": value})


# Size and costs against brute force.


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_size_and_costs_are_those_of_all_members(data: st.DataObject) -> None:
    free = data.draw(st.sets(st.sampled_from(Block._fields), max_size=3))

    def choices() -> dict[str, Choice]:
        found = {}
        for key in Block._fields:
            values = st.sets(st.integers(1, 4), min_size=1, max_size=3 if key in free else 1)
            found[key] = Choice(tuple(sorted(data.draw(values))))
        return found

    variant = st.sampled_from([(False,), (True,), (False, True)])
    space = SearchSpace(
        name="drawn",
        description="",
        dataset="",
        depth=Choice(data.draw(st.sampled_from([(1,), (2,), (1, 2)]))),
        blocks=(choices(), choices()),
        variants={key: Choice(data.draw(variant)) for key in VARIANTS},
        limits={},
        references=(),
        text="",
    )
    shape = (1, data.draw(st.integers(3, 9)), 8)  # 3 pixels have no room for the second block
    classes = data.draw(st.integers(4, 10))
    every = list(members(space, classes, shape))
    assert space.size() == len(every)
    possible = [arch for arch in every if arch is not None]
    assert len({arch.identity for arch in possible}) == len(possible)
    if not possible:
        with pytest.raises(InputError, match=rf"none .* of 1x{shape[1]}x8 and {classes} classes$"):
            space.cost_range(classes, shape)
        return
    assert space.cost_range(classes, shape) == {
        what: (
            min(getattr(arch, what) for arch in possible),
            max(getattr(arch, what) for arch in possible),
        )
        for what in ("parameters", "macs")
    }


def test_to_json_has_what_decides_and_nothing_else() -> None:
    space = parse(VARIED)
    same = parse_space("# another comment\n" + VARIED, "other", "other.toml")
    assert same.to_json() == space.to_json()
    for change in (
        ("blocks = [1, 2]", "blocks = 2"),
        ("n2_1 = 2", "n2_1 = 3"),
        ("[false, true]", "false"),
        ("[variants]", "[limits]\nmax_macs = 1\n[variants]"),
    ):
        assert parse(VARIED.replace(*change)).to_json() != space.to_json()
