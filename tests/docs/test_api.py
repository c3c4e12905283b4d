"""docs/api.md has every public name, each with a docstring to show."""

from __future__ import annotations

import pydoc
import re
from pathlib import Path

import pytest

import nas_incep
import nas_incep.gluon.layers
import nas_incep.gluon.networks

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
NAMES = re.findall(r"^\.\. auto\w+:: ([\w.]+)", TEXT, re.MULTILINE)
MEMBERS = [
    f"{name}.{member}"
    for name, members in re.findall(
        r"^\.\. autoclass:: ([\w.]+)\S*\n   :members: (.+)$", TEXT, re.MULTILINE
    )
    for member in members.split(", ")
]


@pytest.mark.parametrize("name", [*NAMES, *MEMBERS])
def test_what_is_shown_has_a_docstring(name: str) -> None:
    found = pydoc.locate(name)
    assert found is not None
    assert found.__doc__


@pytest.mark.parametrize(
    "module",
    [nas_incep, nas_incep.gluon.layers, nas_incep.gluon.networks],
    ids=lambda m: m.__name__,
)
def test_every_public_name_is_there(module: object) -> None:
    prefix = module.__name__  # type: ignore[attr-defined]
    for name in module.__all__:  # type: ignore[attr-defined]
        assert re.search(rf"{re.escape(f'{prefix}.{name}')}\b", TEXT), name
