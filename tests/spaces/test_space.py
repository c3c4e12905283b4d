"""Search spaces: sampling, membership, size and costs by brute force."""

from __future__ import annotations

import math
import time

import pytest
from helpers.spaces import HEAD, ONES, SOUND, VARIED, Recorder, members, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_incep.architecture import Architecture, Block
from nas_incep.errors import InputError
from nas_incep.spaces.counting import cost_range, count
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
    assert trial.asked["b1.num_convs"] == range(1, 3)  # ascending, from [parameters]
    assert trial.asked["blocks"] == range(1, 3)


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


# The order of numbers.


@pytest.mark.parametrize(
    ("listed", "ranged"),
    [
        ("[48, 16, 32]", "{ low = 16, high = 48, step = 16 }"),
        ("[16, 48]", "{ low = 16, high = 48, step = 32 }"),
        ("[7]", "{ low = 7, high = 7 }"),
        ("7", "[7]"),
    ],
)
def test_a_list_is_the_range_of_its_numbers(listed: str, ranged: str) -> None:
    spaces = [parse(SOUND.replace("n1_1 = 1", f"n1_1 = {way}")) for way in (listed, ranged)]
    trials = [Recorder(), Recorder()]
    for space, trial in zip(spaces, trials):
        space.sample(trial, 10, (1, 8, 8))
    assert trials[0].asked == trials[1].asked
    assert spaces[0].to_json() == spaces[1].to_json()


def test_numbers_at_uneven_distances_are_drawn_by_their_position() -> None:
    space = parse(SOUND.replace("n1_1 = 1", "n1_1 = [1, 8, 2, 4]"))
    trial = Recorder({"b0.n1_1.index": 2})
    assert space.sample(trial, 10, (1, 8, 8)).blocks[0].n1_1 == 4
    assert trial.asked == {"b0.n1_1.index": range(4)}
    assert space.parameters_of(((1, 8, 1, 1, 1, 1, 1),), VARIANTS) == {"b0.n1_1.index": 3}
    for index in (-1, 4):
        with pytest.raises(InputError, match=rf"b0.n1_1.index is {index}: the last is 3"):
            space.sample(Recorder({"b0.n1_1.index": index}), 10, (1, 8, 8))


def test_a_study_without_ordered_lists_keeps_categories() -> None:
    text = SOUND.replace("n1_1 = 1", "n1_1 = [16, 32, 48]").replace("n2_3 = 1", "n2_3 = [1, 2, 4]")
    old, new = (parse_space(text, "old", "old.toml", ordered) for ordered in (False, True))
    trial = Recorder()
    old.sample(trial, 10, (1, 8, 8))
    assert trial.asked == {"b0.n1_1": (16, 32, 48), "b0.n2_3": (1, 2, 4)}
    assert old.to_json() == new.to_json()


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
        variants={key: Choice(data.draw(variant), ordered=False) for key in VARIANTS},
        limits={},
        references=(),
        text="",
    )
    shape = (1, data.draw(st.integers(3, 9)), 8)  # 3 pixels have no room for the second block
    classes = data.draw(st.integers(4, 10))
    every = list(members(space, classes, shape))
    possible = [arch for arch in every if arch is not None]
    assert count(space, classes, shape) == len(possible)
    assert len({arch.identity for arch in possible}) == len(possible)
    if not possible:
        with pytest.raises(InputError, match=rf"none .* of 1x{shape[1]}x8 and {classes} classes$"):
            cost_range(space, classes, shape)
        return
    assert cost_range(space, classes, shape) == {
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


# The largest files that are legal.

WIDTHS = "{ low = 1, high = 8192 }"
SMALL_WIDTHS = "{ low = 1, high = 100 }"
FIELDS = Block._fields[1:]


def large(widths: str, extra: str = "") -> str:
    fields = "".join(f"{key} = {widths}\n" for key in FIELDS)
    return (
        f"{HEAD}blocks = [1, 2, 3, 4, 5, 6, 7, 8]\n{extra}[parameters]\n"
        f"num_convs = {{ low = 1, high = 64 }}\n{fields}"
        "[variants]\nbatch_norm = [true, false]\nrelu_output = [true, false]\n"
        "same_shape = [true, false]\n"
    )


LARGE = {
    "widths of all maps": large(SMALL_WIDTHS),
    "all widths": large(WIDTHS),
    "same shape alone": large(WIDTHS).replace("same_shape = [true, false]", "same_shape = true"),
    "limits": large(WIDTHS) + "[limits]\nmax_params = 1\nmin_macs = 1\n",
    "lists": large(str(list(range(1, 7201)))),
    "references": large(
        SMALL_WIDTHS, f"reference = {[{'blocks': [[64] + [99] * 6] * 8}] * 100}\n"
    ).replace("'blocks':", "blocks ="),
    "comment": "#" * 200_000 + "\n" + large(SMALL_WIDTHS),
}


@pytest.mark.parametrize("name", LARGE)
def test_any_legal_file_is_counted_at_once(name: str) -> None:
    started = time.process_time()
    space = parse(LARGE[name])
    assert count(space, 100, (3, 32, 32)) > 10**9
    low, high = cost_range(space, 100, (3, 32, 32))["macs"]
    assert 0 < low < high
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#" * 300_000 + SOUND, "has 300,... characters, at most 262,144 are expected"),
        (SOUND + "[[reference]]\n" * 101, "reference has 101 entries: at most 100 are expected"),
    ],
)
def test_a_file_too_large_to_be_one_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(text)


def test_many_faults_are_told_at_once() -> None:
    started = time.process_time()
    with pytest.raises(InputError, match="has 1 twice"):
        parse(SOUND.replace("n1_1 = 1", f"n1_1 = {[1] * 80_000}"))
    assert time.process_time() - started < 1
