"""Search spaces: sampling, membership, size and costs by brute force, and every fault of a file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_incep.architecture import NOTEBOOK, Architecture, Block
from nas_incep.errors import InputError
from nas_incep.spaces.reader import parse_space, read_space, shipped_spaces, with_limits
from nas_incep.spaces.space import (
    VARIANTS,
    Choice,
    SearchSpace,
    excess,
    latency_excess,
    over_latency,
    over_limits,
)

SHIPPED = ["nin_cifar", "nin_small", "notebook", "quick"]
# The images of the data sets that the shipped spaces are meant for.
IMAGES = {name: (1, 8, 8) if name == "quick" else (3, 32, 32) for name in SHIPPED}

HEAD = 'format = "nas-incep-space"\nversion = 1\n'
ONES = "num_convs = 1\nn1_1 = 1\nn2_1 = 1\nn2_3 = 1\nn3_1 = 1\nn3_5 = 1\nn4_1 = 1\n"

# 2 depths, both with ranges, lists and single values, a block of its own, three variants.
VARIED = (
    HEAD
    + """
blocks = [1, 2]
[parameters]
num_convs = [2, 1]
n1_1 = { low = 1, high = 5, step = 2 }
n2_1 = 2
n2_3 = [1, 4]
n3_1 = { low = 3, high = 3 }
n3_5 = 2
n4_1 = [1]
[block.1]
n1_1 = 2
n3_5 = { low = 1, high = 2 }
[variants]
batch_norm = [true, false]
same_shape = [false, true]
"""
)


def parse(text: str) -> SearchSpace:
    return parse_space(text, "test", "test.toml")


def faults(text: str) -> list[str]:
    with pytest.raises(InputError) as error:
        parse(text)
    source, _, rest = str(error.value).partition(": ")
    assert source == "test.toml"
    assert "\n" not in rest
    return rest.split("; ")


class Recorder:
    """A trial that takes the values it is given, by name, and otherwise the first ones."""

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        self.values = values or {}
        self.asked: dict[str, Any] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        self.asked[name] = range(low, high + 1, step)
        return self.values.get(name, low)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.asked[name] = choices
        return self.values.get(name, choices[0])


def members(
    space: SearchSpace, classes: int, shape: tuple[int, int, int]
) -> Iterator[Architecture | None]:
    """Every architecture of a small space; None for each impossible one."""
    for depth in space.depth.values:
        widths = [
            itertools.product(*(choices[key].values for key in Block._fields))
            for choices in space.blocks[:depth]
        ]
        variants = itertools.product(*(space.variants[key].values for key in VARIANTS))
        for *blocks, variant in itertools.product(*widths, variants):
            try:
                yield Architecture(
                    tuple(map(Block._make, blocks)), *variant, classes=classes, input_shape=shape
                )
            except InputError:
                yield None


# The shipped spaces.


def test_these_spaces_are_shipped() -> None:
    assert list(shipped_spaces()) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_spaces_are_sound_and_hold_their_references(name: str) -> None:
    space = read_space(name)
    assert space.name == name
    assert space.description
    assert read_space(str(shipped_spaces()[name])) == space
    for reference in space.references:
        arch = Architecture(
            reference["blocks"],
            **{key: reference[key] for key in VARIANTS},
            input_shape=IMAGES[name],
        )
        assert space.contains(arch)  # within the limits, too


@pytest.mark.parametrize("name", SHIPPED)
def test_sampled_architectures_are_members(name: str) -> None:
    space = read_space(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    low, high = zip(*space.cost_range(10, IMAGES[name]).values())
    found = set()
    for _ in range(40):
        arch = space.sample(study.ask(), 10, IMAGES[name])
        found.add(arch.identity)
        assert arch.input_shape == IMAGES[name]
        assert space.outside(arch.blocks, vars(arch)) == []
        assert space.contains(arch) == (over_limits(space.limits, arch) == [])
        for value, least, most in zip((arch.parameters, arch.macs), low, high):
            assert least <= value <= most
    assert len(found) > 30


@pytest.mark.parametrize("name", SHIPPED)
def test_enqueued_references_come_back_from_a_study(name: str) -> None:
    space = read_space(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for parameters in space.reference_parameters():
        study.enqueue_trial(parameters)
    for reference, parameters in zip(space.references, space.reference_parameters()):
        trial = study.ask()
        arch = space.sample(trial, 10, IMAGES[name])
        assert trial.params == parameters  # each of them is asked for
        assert [list(block) for block in arch.blocks] == reference["blocks"]
        assert {key: getattr(arch, key) for key in VARIANTS} == {
            key: reference[key] for key in VARIANTS
        }


def test_the_notebook_is_the_first_reference_of_its_space() -> None:
    space = read_space("notebook")
    assert space.sample(Recorder(space.reference_parameters()[0]), 10, (3, 32, 32)) == NOTEBOOK


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


# Every fault of a file, with its place.

ONE_BLOCK = HEAD + "blocks = 1\n"
SOUND = ONE_BLOCK + "[parameters]\n" + ONES
REFERENCE = "[[reference]]\nblocks = [[1, 1, 1, 1, 1, 1, 1]]\n"


def test_the_examples_below_are_sound_but_for_their_fault() -> None:
    assert parse(SOUND + REFERENCE).size() == 1


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            SOUND.replace("nas-incep-space", "toml"),
            "format is 'toml', expected 'nas-incep-space'",
        ),
        (SOUND.replace("version = 1", ""), "version is None, expected 1"),
        (SOUND.replace("version = 1", "version = true"), "version is True, expected 1"),
        (SOUND.replace("version = 1", "version = 2"), "version is 2, expected 1"),
        ("colour = 3\n" + SOUND, "unknown key colour: expected format, version, description"),
        ("description = 3\n" + SOUND, "description is 3: a text is expected"),
        ("dataset = 3\n" + SOUND, "dataset is 3: a text is expected"),
        (SOUND.replace("blocks = 1\n", ""), "blocks is missing"),
        # A fault of the depth is not blamed on the blocks.
        (
            SOUND.replace("blocks = 1\n", "") + "[block.1]\nn1_1 = 2\n",
            "blocks is missing",
        ),
        (SOUND.replace("blocks = 1", "blocks = 9"), "blocks has 9: an integer from 1 to 8"),
        (SOUND.replace("blocks = 1", "blocks = []"), "blocks is an empty list"),
        (SOUND.replace("blocks = 1", "blocks = true"), "blocks has True: an integer from 1 to 8"),
        (SOUND.replace("n1_1", "n1_2") + "n1_1 = 1\n", "unknown key parameters.n1_2: expected num"),
        (
            ONE_BLOCK + "[block.0]\n" + ONES.replace("n1_1 = 1\n", "").replace("n4_1 = 1\n", ""),
            "block 0 has no n1_1, n4_1: give [parameters] or [block.0]",
        ),
        (SOUND + "[block.1]\nn1_1 = 2\n", "unknown key block.1: expected 0"),
        (SOUND + "[block.0]\nwidth = 2\n", "unknown key block.0.width: expected num_convs"),
        (ONE_BLOCK + "block = 3\n[parameters]\n" + ONES, "block is 3: a table is expected"),
        (
            SOUND.replace("num_convs = 1", "num_convs = 65"),
            "parameters.num_convs has 65: an integer from 1 to 64 is expected",
        ),
        (
            SOUND.replace("n1_1 = 1", "n1_1 = [1, 0]"),
            "parameters.n1_1 has 0: an integer from 1 to 8192 is expected",
        ),
        (SOUND.replace("n1_1 = 1", "n1_1 = 1.0"), "parameters.n1_1 has 1.0: an integer"),
        (SOUND.replace("n1_1 = 1", "n1_1 = nan"), "parameters.n1_1 has nan: an integer"),
        (SOUND.replace("n1_1 = 1", 'n1_1 = "1"'), "parameters.n1_1 has '1': an integer"),
        (SOUND.replace("n1_1 = 1", "n1_1 = []"), "parameters.n1_1 is an empty list"),
        (SOUND.replace("n1_1 = 1", "n1_1 = [3, 4, 3]"), "parameters.n1_1 has 3 twice"),
        (
            SOUND.replace("n1_1 = 1", "n1_1 = { low = 1, high = 2, stepp = 1 }"),
            "unknown key parameters.n1_1.stepp: expected low, high, step",
        ),
        (
            SOUND.replace("n1_1 = 1", "n1_1 = { low = 1 }"),
            "parameters.n1_1.high is None: an integer from 1 to 8192 is expected",
        ),
        (
            SOUND.replace("n1_1 = 1", "n1_1 = { low = 1, high = 2, step = 0 }"),
            "parameters.n1_1.step is 0: an integer from 1 to 8192 is expected",
        ),
        (
            SOUND.replace("n1_1 = 1", "n1_1 = { low = 4, high = 9, step = 2 }"),
            "parameters.n1_1: steps of 2 from low = 4 do not arrive at high = 9",
        ),
        (
            SOUND.replace("n1_1 = 1", "n1_1 = { low = 4, high = 3 }"),
            "parameters.n1_1: steps of 1 from low = 4 do not arrive at high = 3",
        ),
        (ONE_BLOCK + "variants = 3\n[parameters]\n" + ONES, "variants is 3: a table is expected"),
        (SOUND + "[variants]\nrelu = true\n", "unknown key variants.relu: expected batch_norm"),
        (
            SOUND + "[variants]\nbatch_norm = 1\n",
            "variants.batch_norm is 1: true or false is expected",
        ),
        (
            SOUND + "[variants]\nbatch_norm = [true, true]\n",
            "variants.batch_norm is [True, True]: distinct values are expected",
        ),
        (
            SOUND + "[variants]\nbatch_norm = []\n",
            "variants.batch_norm is []: distinct values are expected",
        ),
        (SOUND + "[limits]\nmax_flops = 1\n", "unknown key limits.max_flops: expected max_params"),
        (SOUND + "[limits]\nmax_macs = 0\n", "limits.max_macs is 0: a positive integer"),
        (SOUND + "[limits]\nmin_macs = 1e6\n", "limits.min_macs is 1000000.0: a positive integer"),
        *(
            (
                f"{SOUND}[limits]\nmax_latency_ms = {text}\n",
                f"limits.max_latency_ms is {value}: a positive number is expected",
            )
            for text, value in (
                *(("0", "0"), ("-0.5", "-0.5"), ("inf", "inf"), ("nan", "nan")),
                *(("true", "True"), ('"3"', "'3'")),
            )
        ),
        (
            SOUND + "[limits]\nmin_params = 9\nmax_params = 8\n",
            "limits.min_params is 9, above limits.max_params = 8",
        ),
        (
            SOUND + "[reference]\nblocks = 1\n",
            "reference is not a list of tables: write [[reference]]",
        ),
        (
            SOUND + REFERENCE + "classes = 3\n",
            "unknown key reference[0].classes: expected blocks, batch_norm",
        ),
        (
            SOUND + "[[reference]]\nbatch_norm = false\n",
            "reference[0]: impossible architecture: blocks is not a list of at least one block",
        ),
        (
            SOUND + REFERENCE + '[[reference]]\nblocks = [[1, 1, 1, 1, 1, 1, "1"]]\n',
            "reference[1]: impossible architecture: blocks[0].n4_1 is '1'",
        ),
        (
            SOUND + REFERENCE + "batch_norm = 0\n",
            "reference[0]: impossible architecture: batch_norm is 0",
        ),
        (
            SOUND + REFERENCE + "same_shape = 0\n",
            "reference[0].same_shape is 0: true or false is expected",
        ),
        (
            SOUND + REFERENCE.replace("1]]", "2]]"),
            "reference[0] is outside the space: blocks[0].n4_1 is 2, which the space does not",
        ),
        (
            SOUND + REFERENCE.replace("1]]\n", "1], [1, 1, 1, 1, 1, 1, 1]]\n"),
            "reference[0] is outside the space: it has 2 blocks, the space has 1",
        ),
        (
            SOUND + REFERENCE + "batch_norm = true\n",
            "reference[0] is outside the space: batch_norm is True, which the space does not offer",
        ),
        ("blocks = [1", "not valid TOML: "),
        ("blocks = 1\nblocks = 2", "not valid TOML: "),
        ("blocks = " + "1" * 5000, "not valid TOML: a number with too many digits"),
        ("blocks = " + "[" * 100_000, "not valid TOML: nested too deeply"),
    ],
)
def test_each_fault_is_named_with_its_place(text: str, expected: str) -> None:
    (fault,) = faults(text)
    assert fault.startswith(expected)


def test_all_faults_of_a_file_are_named_at_once() -> None:
    text = """
        version = 3
        depth = 2
        blocks = [1, 2, 2]
        [parameters]
        num_convs = 0
        n1_1 = { low = 1, high = 4, step = 2 }
        n2_1 = [8, 8, 16, 16]
        [block.1]
        n1_3 = 4
        [variants]
        same_shape = "no"
        [limits]
        max_macs = -1
        [[reference]]
        blocks = []
    """
    places = [fault.split(" is ")[0].split(" has ")[0] for fault in faults(text)]
    assert places == [
        "unknown key depth: expected format, version, description, dataset, blocks, parameters, "
        "block, variants, limits, reference",
        "format",
        "version",
        "blocks",
        "parameters.num_convs",
        "parameters.n1_1: steps of 2 from low = 1 do not arrive at high = 4",
        "parameters.n2_1",
        "parameters.n2_1",
        "unknown key block.1.n1_3: expected num_convs, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1",
        "variants.same_shape",
        "limits.max_macs",
        "reference[0]: impossible architecture: blocks",
    ]


def test_faults_come_in_the_order_of_the_file_every_time() -> None:
    text = SOUND.replace("n1_1 = 1", "n1_1 = [9, 9, 5, 5, 7, 7]")
    assert faults(text) == [f"parameters.n1_1 has {value} twice" for value in (9, 5, 7)]


def test_unknown_names_list_the_shipped_spaces(tmp_path: Path) -> None:
    for name in ("quik", str(tmp_path / "none.toml"), "x" * 5000):
        with pytest.raises(InputError) as error:
            read_space(name)
        assert str(error.value) == (
            f"{name}: no such space file; the shipped spaces are {', '.join(SHIPPED)}"
        )


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_space(str(tmp_path))
    path = tmp_path / "latin.toml"
    path.write_bytes(b'description = "\xe9"')
    with pytest.raises(InputError, match=r"latin\.toml: not a text file"):
        read_space(str(path))


def test_a_file_is_named_after_its_stem_and_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("# why\n" + SOUND, encoding="utf-8")
    space = read_space(str(path))
    assert (space.name, space.text) == ("mine", "# why\n" + SOUND)


def test_the_example_of_the_documentation_is_a_valid_space() -> None:
    text = (Path(__file__).parents[2] / "docs" / "spaces.md").read_text()
    example = text.split("```toml\n")[1].split("```")[0]
    space = parse_space(example, "example", "docs/spaces.md")
    assert space.dataset == "cifar10"
    assert len(space.references) == 1
