"""Search spaces made by Python programs, which are written as the TOML of a space file."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import InputError
from .reader import FORMAT, VERSION, parse_space
from .space import SearchSpace


def make_space(
    name: str,
    blocks: Any,
    parameters: Mapping[str, Any],
    block: Mapping[int, Mapping[str, Any]] | None = None,
    variants: Mapping[str, Any] | None = None,
    limits: Mapping[str, float] | None = None,
    references: Sequence[Mapping[str, Any]] = (),
    description: str = "",
    dataset: str = "",
) -> SearchSpace:
    """The space of these choices, which are named and given as in a space file (docs/spaces.md).

    A choice is an integer, a list or a range of integers; `block` overrides `parameters` for some
    blocks, counted from 0. The `text` of the result is a space file. Raises InputError, listing
    every error, if a file of that text would be invalid.
    """
    tables: list[tuple[str, Mapping[str, Any]]] = [
        (
            "",
            {
                "format": FORMAT,
                "version": VERSION,
                "description": description,
                "dataset": dataset,
                "blocks": blocks,
            },
        ),
        ("[parameters]", parameters),
        *((f"[block.{number}]", choices) for number, choices in (block or {}).items()),
        ("[variants]", variants or {}),
        ("[limits]", limits or {}),
        *(("[[reference]]", reference) for reference in references),
    ]
    text = "".join(line + "\n" for header, table in tables for line in _lines(header, table))
    return parse_space(text, name, f"space {name}")


def _lines(header: str, table: Mapping[str, Any]) -> Iterator[str]:
    if header and table:
        yield header
    for key, value in table.items():
        yield f"{_text(key)} = {_value(value)}"


def _value(value: Any) -> str:
    """A value as TOML, which for these types is JSON, but for ranges and mappings."""
    if isinstance(value, range) and value:
        low, high = min(value), max(value)
        return f"{{low = {low}, high = {high}, step = {abs(value.step)}}}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple, range)):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value)


def _text(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=operator.index)  # numpy's integers
    except TypeError:
        raise InputError(f"{value!r}: numbers, texts and lists of them are expected") from None
    return text.replace("\x7f", "\\u007f")  # the one control character that JSON allows
