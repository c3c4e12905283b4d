"""The reader of all our JSON files: checks format, version, keys, types and ranges.

A file holds an object with `format`, `version` and the fields of a dataclass, whose annotations are
the rules. They are evaluated at run time, so Python 3.9 needs `Optional[int]` in such a dataclass.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from .errors import InputError

LARGEST = 2**63 - 1  # more than any of our counters reaches
Natural = Annotated[int, Meta(ge=0, le=LARGEST)]
Positive = Annotated[int, Meta(ge=1, le=LARGEST)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
# Seconds, milliseconds; sums of them stay finite.
Amount = Annotated[float, Meta(ge=0, le=1e15)]
PositiveAmount = Annotated[float, Meta(gt=0)]

_T = TypeVar("_T")

_NOUNS = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_SHOWN = 80  # characters of a wrong value


def unwrap(value: object, format: str, versions: tuple[int, ...], source: str) -> dict[str, Any]:
    """The fields of a file's object without `format`, after checking `format` and `version`.

    `version` is kept only if several `versions` are allowed. Raises InputError, naming `source`.
    """
    if not isinstance(value, dict):
        raise InputError(f"{source}: an object is expected (format {format!r})")
    _check_header(value, "format", format, source)
    version = value.get("version")
    # True equals 1, and so does 1.0.
    if type(version) is not int or version not in versions:
        expected = " or ".join(map(str, versions))
        raise InputError(f"{source}: version is {_shown(version)}, expected {expected}")
    dropped = ("format",) if len(versions) > 1 else ("format", "version")
    return {key: item for key, item in value.items() if key not in dropped}


def unwrap_optional(
    value: Mapping[str, Any], format: str, version: int, source: str
) -> dict[str, Any]:
    """Like `unwrap`, for files that users write by hand: both fields may be missing."""
    return unwrap({"format": format, "version": version, **value}, format, (version,), source)


def read(value: object, kind: type[_T], source: str, place: str = "") -> _T:
    """The object of type `kind` that a parsed JSON value describes.

    Fields that are already instances are kept as they are. Raises InputError naming `source`, the
    field (within `place`), the value and the rule.
    """
    try:
        found = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        fault = _sentence(str(error), value, place)
        raise InputError(f"{source}: {fault}") from None
    except UnicodeEncodeError:
        where = f"{place}: " if place else ""
        raise InputError(
            f"{source}: {where}a text has a lone surrogate, so it is no Unicode"
        ) from None
    for unknown in _unknown_keys(value, found, place):
        raise InputError(f"{source}: {unknown}")
    return found


def pick(fields: dict[str, Any], kind: type) -> dict[str, Any]:
    """Removes the fields of one dataclass from a flat object that holds several; returns them."""
    names = [field.name for field in dataclasses.fields(kind)]
    return {name: fields.pop(name) for name in names if name in fields}


def _check_header(value: dict[str, Any], key: str, expected: str, source: str) -> None:
    if value.get(key) != expected:
        raise InputError(f"{source}: {key} is {_shown(value.get(key))}, expected {expected!r}")


def _unknown_keys(value: object, found: object, place: str) -> Iterator[str]:
    """A phrase for each JSON key that is not a field of the dataclass read from it."""
    if isinstance(value, dict) and dataclasses.is_dataclass(found):
        kind: Any = type(found)
        known = _names(kind)
        for key, item in value.items():
            if key in known:
                if isinstance(item, (dict, list)):  # a search reads many numbers
                    yield from _unknown_keys(item, getattr(found, key), _join(place, key))
            else:
                inside = f" in {place}" if place else ""
                yield f"unknown key {_shown(key)}{inside}; the keys are {', '.join(known)}"
    elif isinstance(value, dict) and isinstance(found, dict):
        for key, item in value.items():
            yield from _unknown_keys(item, found[key], _join(place, key))
    elif isinstance(value, list) and isinstance(found, (list, tuple)):
        for index, (item, read_item) in enumerate(zip(value, found)):
            yield from _unknown_keys(item, read_item, f"{place}[{index}]")


@functools.cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass."""
    return tuple(field.name for field in dataclasses.fields(kind))


def _sentence(complaint: str, value: object, place: str) -> str:
    """msgspec's message with the value added, worded like our other errors."""
    text, _, path = complaint.partition(" - at `$")
    path = path.rstrip("`")
    where = _join(place, path.lstrip(".")) or "the whole"
    missing = re.fullmatch(r"Object missing required field `(.*)`", text)
    if missing:
        return f"{_join(_join(place, path.lstrip('.')), missing[1])} is missing"
    shown = _shown(_at(value, path))
    length = re.fullmatch(r"Expected `array` of length (\d+), got (\d+)", text)
    if length:
        return f"{where} has {length[2]} items: a list of {length[1]} is expected"
    wrong = re.fullmatch(r"Expected `(.*?)`(?:, got `.*`)?(.*)", text, re.DOTALL)
    if wrong:
        return f"{where} is {shown}: {_nouns(wrong[1])}{wrong[2]} is expected"
    if text.startswith(("Invalid enum value", "Number out of range")):
        return f"{where} is {shown}: {text[0].lower()}{text[1:]}"
    # Raised by the class's __post_init__, which names the field.
    return f"{where}: {text}" if path or place else text


def _nouns(types: str) -> str:
    return " or ".join(_NOUNS.get(name, name) for name in types.split(" | "))


def _at(value: Any, path: str) -> Any:
    """The value at a path like `.curve[0].loss`, where `[...]` is some item of an object."""
    for key, index in re.findall(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]", path):
        if index == "...":
            return value  # msgspec does not say which item
        try:
            value = value[key] if key else value[int(index)]
        except (KeyError, IndexError, TypeError):
            return value
    return value


def _join(place: str, key: str) -> str:
    return f"{place}{key}" if not place or key.startswith("[") or not key else f"{place}.{key}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
