"""Files of search spaces: every fault is named with its place."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from helpers.spaces import ONE_BLOCK, ONES, SOUND, faults, parse

from nas_incep.errors import InputError
from nas_incep.spaces.counting import count
from nas_incep.spaces.reader import parse_space, read_space

SHIPPED = ["nin_cifar", "nin_small", "notebook", "quick"]
REFERENCE = "[[reference]]\nblocks = [[1, 1, 1, 1, 1, 1, 1]]\n"


def test_the_examples_below_are_sound_but_for_their_fault() -> None:
    assert count(parse(SOUND + REFERENCE), 10, (1, 8, 8)) == 1


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
        (
            SOUND + f"[limits]\nmax_params = {2**63}\n",
            "not valid TOML: a number with more than 64 bits",
        ),
        (SOUND + "[limits]\nmax_params = inf\n", "limits.max_params is inf: a positive integer"),
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
        "block, variants, limits, reference, training",
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


@pytest.mark.parametrize("line", ["a." * 100_000 + "a = 1", "[" + "a." * 100_000 + "a]"])
def test_a_key_of_many_parts_is_refused_at_once(line: str) -> None:
    started = time.process_time()
    assert faults(f"{SOUND}\n{line}")[0].endswith("has 100,000 dots, at most 100 are expected")
    assert time.process_time() - started < 5  # tomllib alone takes minutes, and all memory


def test_a_dotted_line_is_no_key() -> None:
    assert parse_space("# " + "." * 500 + "\n" + SOUND, "dots", "dots.toml").depth.values


@pytest.mark.parametrize("number", ["0x" + "F" * 5000, "-" + "9" * 19, "9" * 19])
@pytest.mark.parametrize("place", ["blocks = 1", "n1_1 = 1"])
def test_a_number_beyond_64_bits_is_refused_wherever_it_is(place: str, number: str) -> None:
    key = place.split(" ")[0]
    for value in (number, f"[{number}]", f"{{low = 1, high = {number}}}"):
        found = faults(SOUND.replace(place, f"{key} = {value}"))
        assert found == ["not valid TOML: a number with more than 64 bits"]
