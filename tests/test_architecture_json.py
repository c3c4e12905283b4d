"""Architectures as JSON, and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.architectures import BLOCK, architectures
from hypothesis import given

from nas_incep._files import parse_json
from nas_incep.architecture import (
    NOTEBOOK,
    Architecture,
    Block,
    from_json,
    read_architecture,
)
from nas_incep.errors import InputError

# JSON.


@given(architectures())
def test_json_gives_back_the_same_architecture(arch: Architecture) -> None:
    text = json.dumps(arch.to_json(), allow_nan=False)
    found = from_json(parse_json(text, "text"))
    assert found == arch
    assert found.identity == arch.identity
    assert all(isinstance(block, Block) for block in found.blocks)


def test_blocks_alone_are_the_notebooks_variant() -> None:
    assert from_json([list(block) for block in NOTEBOOK.blocks]) == NOTEBOOK
    assert from_json({"blocks": [BLOCK]}) == Architecture((Block(*BLOCK),))


@pytest.mark.parametrize(
    "value, expected",
    [
        (3, "place: an object with the key 'blocks' is expected"),
        (None, "place: an object with the key 'blocks' is expected"),
        ({}, "place: the key 'blocks' is missing"),
        (
            {"blocks": [BLOCK], "batchnorm": True},
            "place: unknown key 'batchnorm'; the keys are blocks, batch_norm, relu_output, "
            "same_shape, classes, input_shape",
        ),
        (
            {"blocks": [BLOCK], "format": "nas-incep-space"},
            "place: format is 'nas-incep-space', expected 'nas-incep-architecture'",
        ),
        ({"blocks": [BLOCK], "version": 2}, "place: version is 2, expected 1"),
        ({"blocks": [BLOCK], "version": True}, "place: version is True, expected 1"),
        ({"blocks": [BLOCK], "version": None}, "place: version is None, expected 1"),
        ([], "place: impossible architecture: blocks is not a list of at least one block"),
        ({"blocks": {"0": BLOCK}}, "place: impossible architecture: blocks is not a list"),
    ],
)
def test_faulty_json(value: object, expected: str) -> None:
    with pytest.raises(InputError) as error:
        from_json(value, "place")
    assert str(error.value).startswith(expected)


@pytest.mark.parametrize(
    "text, expected",
    [
        ('{"blocks": 1, "classes": 2, "blocks": 3}', "key 'blocks' is given twice"),
        ('[{"a": {"b": 1, "b": 1}}]', "key 'b' is given twice"),
        ("[NaN]", "NaN is not a JSON number"),
        ("[-Infinity]", "-Infinity is not a JSON number"),
        ("[1, 2", "not valid JSON: Expecting ',' delimiter (line 1, column 6)"),
        ("{\n 'blocks': 1}", "not valid JSON: Expecting property name enclosed in double quotes"),
        ("", "not valid JSON: Expecting value (line 1, column 1)"),
        ("[" * 100_000, "not valid JSON: nested too deeply"),
    ],
)
def test_text_that_is_no_strict_json(text: str, expected: str) -> None:
    with pytest.raises(InputError) as error:
        parse_json(text, "some.json")
    assert str(error.value).startswith(f"some.json: {expected}")


# From the command line: a name, JSON, a file, a folder.


def test_the_notebook_by_name() -> None:
    assert read_architecture("notebook") is NOTEBOOK


def test_inline_json() -> None:
    expected = Architecture((Block(*BLOCK),), classes=7)
    assert read_architecture(json.dumps(expected.to_json())) == expected
    assert read_architecture(f'\n {{"blocks": [{BLOCK}], "classes": 7}}') == expected
    assert read_architecture(f"[{BLOCK}]").blocks == expected.blocks


def test_a_file_and_a_folder_that_has_one(tmp_path: Path) -> None:
    expected = Architecture((Block(*BLOCK),), relu_output=False)
    path = tmp_path / "architecture.json"
    path.write_text(json.dumps(expected.to_json()), encoding="utf-8")
    assert read_architecture(str(path)) == expected
    assert read_architecture(str(tmp_path)) == expected


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    faults: dict[str, str] = {
        str(tmp_path / "none.json"): "no such file",
        str(tmp_path): "no such file",
        "x" * 5000: "cannot be read: File name too long",
        '[[1, 2]]"': "not valid JSON: Extra data (line 1, column 9)",
        '{"blocks": [], "blocks": []}': "key 'blocks' is given twice",
        "[[1, 2, 3, 4, 5, 6, NaN]]": "NaN is not a JSON number",
    }
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    faults[str(tmp_path / "bytes.json")] = "not a text file (UTF-8 expected)"
    (tmp_path / "half.json").write_text('{"blocks": [', encoding="utf-8")
    faults[str(tmp_path / "half.json")] = "not valid JSON: Expecting value (line 1, column 13)"
    for given_text, expected in faults.items():
        with pytest.raises(InputError) as error:
            read_architecture(given_text)
        source = "inline JSON" if given_text[0] in "[{" else given_text
        assert str(error.value).startswith(source)
        assert str(error.value).endswith(expected)
