"""Spaces made by Python programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.spaces import SOUND, VARIED, parse
from hypothesis import given
from hypothesis import strategies as st

from nas_incep.errors import InputError
from nas_incep.spaces.building import make_space
from nas_incep.spaces.reader import parse_space, read_space, shipped_spaces
from nas_incep.spaces.space import SearchSpace

ONE = dict.fromkeys(("num_convs", "n1_1", "n2_1", "n2_3", "n3_1", "n3_5", "n4_1"), 8)


def rebuilt(space: SearchSpace) -> SearchSpace:
    return make_space(
        space.name,
        blocks=space.depth.values,
        parameters={},
        block={
            number: {key: choice.values for key, choice in choices.items()}
            for number, choices in enumerate(space.blocks)
        },
        variants={key: choice.values for key, choice in space.variants.items()},
        limits=space.limits,
        references=space.references,
        description=space.description,
        dataset=space.dataset,
    )


@pytest.mark.parametrize("name", shipped_spaces())
def test_shipped_spaces_can_be_made(name: str) -> None:
    space = read_space(name)
    again = rebuilt(space)
    assert again.to_json() == space.to_json()
    assert (again.description, again.dataset) == (space.description, space.dataset)


@pytest.mark.parametrize("text", [SOUND, VARIED])
def test_its_text_is_a_space_file(text: str, tmp_path: Path) -> None:
    made = rebuilt(parse(text))
    (tmp_path / "made.toml").write_text(made.text)
    assert read_space(str(tmp_path / "made.toml")).to_json() == parse(text).to_json()


def test_ranges_and_the_integers_of_numpy() -> None:
    choices: dict[str, Any] = {"n1_1": range(8, 33, 8), "n2_3": range(32, 7, -8), "n3_5": range(8)}
    space = make_space("mine", np.int64(1), {**ONE, **choices, "n3_5": np.int64(4)})
    assert space.blocks[0]["n1_1"].values == space.blocks[0]["n2_3"].values == (8, 16, 24, 32)
    assert space.blocks[0]["n3_5"].values == (4,)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_description_is_kept(description: str) -> None:
    space = make_space("mine", 1, ONE, description=description)
    assert space.description == description
    assert parse_space(space.text, "again", "again").description == description


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"blocks": 9}, "space mine: blocks has 9: an integer from 1 to 8"),
        ({"parameters": {**ONE, "n9": 1}}, "unknown key parameters.n9"),
        ({"parameters": {**ONE, "n1_1": range(0)}}, "parameters.n1_1 is an empty list"),
        ({"limits": {"max_macs": object()}}, "numbers, texts and lists of them are expected"),
        ({"limits": {"max_latency_ms": float("nan")}}, "space mine: not valid TOML"),
    ],
)
def test_faults(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as error:
        make_space("mine", **{"blocks": 1, "parameters": ONE, **changes})
    assert told in str(error.value)
