"""Reading space files. docs/spaces.md describes their format."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .._files import read_text
from .._formats import LARGEST
from ..architecture import MAX_CONVS, MAX_WIDTH, Architecture, Block
from ..errors import InputError
from .space import MAX_LATENCY, VARIANTS, Choice, SearchSpace
from .toml import parse_toml
from .training import TrainingDefaults, read_training

FORMAT = "nas-incep-space"
VERSION = 1

LIMITS = ("max_params", "max_macs", "min_params", "min_macs", MAX_LATENCY)
MAX_BLOCKS = 8
MAX_REFERENCES = 100


def shipped_spaces() -> dict[str, Path]:
    """The spaces that come with the package, by name."""
    package = Path(__file__).parents[1]
    # Next to the package in a checkout, inside it when installed.
    for folder in (package / "search_spaces", package.parent / "search_spaces"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.toml"))}
    return {}


def read_space(name_or_path: str) -> SearchSpace:
    """A shipped space by its name, or the space of a TOML file.

    Raises InputError listing every error in the file, each with its place.
    """
    shipped = shipped_spaces()
    path = shipped.get(name_or_path, Path(name_or_path))
    if name_or_path not in shipped and not os.path.exists(path):
        raise InputError(
            f"{name_or_path}: no such space file; the shipped spaces are {', '.join(shipped)}"
        )
    if path.is_dir():
        raise InputError(
            f"{name_or_path}: is a folder; a space file or a shipped space is expected: "
            f"{', '.join(shipped)}"
        )
    return parse_space(read_text(path), path.stem, str(path))


def with_limits(space: SearchSpace, limits: Mapping[str, float | None]) -> SearchSpace:
    """A space with some limits replaced; None keeps the space's limit.

    Raises InputError if a limit is invalid or a maximum is below the minimum.
    """
    latency = limits.get(MAX_LATENCY)
    if latency is not None and not _is_positive(latency):
        raise InputError(f"{MAX_LATENCY} is {latency}: a positive number is expected")
    for key, limit in limits.items():
        if isinstance(limit, int) and limit > LARGEST:  # it could be written, but not read again
            raise InputError(f"{key} is {limit}: at most {LARGEST} is expected")
    merged = {**space.limits, **{k: value for k, value in limits.items() if value is not None}}
    for what in ("params", "macs"):
        least, most = merged.get(f"min_{what}", 1), merged.get(f"max_{what}")
        if most is not None and most < least:
            raise InputError(f"max_{what} is {most}, below space {space.name}'s minimum of {least}")
    return dataclasses.replace(space, limits=merged)


def parse_space(text: str, name: str, source: str, ordered_lists: bool = True) -> SearchSpace:
    """The space defined by a TOML text; `ordered_lists` as in SearchSpace.

    Raises InputError, naming `source`, listing every error.
    """
    table = parse_toml(text, source)
    reader = _Reader(ordered_lists)
    space = reader.space(table, name, text)
    if reader.faults:
        raise InputError(f"{source}: " + "; ".join(reader.faults))
    return space


class _Reader:
    """Reads a table and collects its `faults`; the result is valid only if there are none."""

    def __init__(self, ordered_lists: bool) -> None:
        self.faults: list[str] = []
        self._ordered_lists = ordered_lists

    def space(self, table: dict[str, Any], name: str, text: str) -> SearchSpace:
        known = ("format", "version", "description", "dataset", "blocks", "parameters", "block")
        self.keys(table, "", (*known, "variants", "limits", "reference", "training"))
        for key, expected in (("format", FORMAT), ("version", VERSION)):
            if table.get(key) != expected or isinstance(table[key], bool):
                self.faults.append(f"{key} is {table.get(key)!r}, expected {expected!r}")
        for key in ("description", "dataset"):
            if not isinstance(table.get(key, ""), str):
                self.faults.append(f"{key} is {table[key]!r}: a text is expected")
        faults = len(self.faults)
        depth = self.choice("blocks", table.get("blocks"), 1, MAX_BLOCKS)
        deepest = depth.values[-1] if len(self.faults) == faults else None
        space = SearchSpace(
            name=name,
            description=table.get("description", ""),
            dataset=table.get("dataset", ""),
            depth=depth,
            blocks=self.blocks(table, deepest),
            variants=self.variants(self.table(table, "variants")),
            limits=self.limits(self.table(table, "limits")),
            references=self.references(table.get("reference", [])),
            text=text,
            ordered_lists=self._ordered_lists,
            training=self.training(self.table(table, "training")),
        )
        if not self.faults:
            self.check_references(space)
        return space

    def keys(self, table: dict[str, Any], place: str, known: Any) -> None:
        for key in table:
            if key not in known:
                self.faults.append(f"unknown key {place}{key}: expected {', '.join(known)}")

    def table(self, parent: dict[str, Any], key: str) -> dict[str, Any]:
        value = parent.get(key, {})
        if isinstance(value, dict):
            return value
        self.faults.append(f"{key} is {value!r}: a table is expected")
        return {}

    def blocks(self, table: dict[str, Any], depth: int | None) -> tuple[dict[str, Choice], ...]:
        """For each block the choices in [parameters], overridden by those in [block.N].

        If the depth is invalid (None), surplus and incomplete blocks are not reported.
        """
        common = self.choices("parameters", self.table(table, "parameters"))
        own = self.table(table, "block")
        self.keys(own, "block.", [str(b) for b in range(depth or MAX_BLOCKS)])
        result = []
        for b in range(depth or MAX_BLOCKS):
            choices = {**common, **self.choices(f"block.{b}", self.table(own, str(b)))}
            missing = [key for key in Block._fields if key not in choices]
            if missing and depth:
                self.faults.append(
                    f"block {b} has no {', '.join(missing)}: give [parameters] or [block.{b}]"
                )
            result.append(choices)
        return tuple(result)

    def choices(self, place: str, table: dict[str, Any]) -> dict[str, Choice]:
        self.keys(table, f"{place}.", Block._fields)
        return {
            key: self.choice(
                f"{place}.{key}", table[key], 1, MAX_CONVS if key == "num_convs" else MAX_WIDTH
            )
            for key in Block._fields
            if key in table
        }

    def choice(self, place: str, value: Any, low: int, high: int) -> Choice:
        """An integer, a list of integers, or a table with low, high and step."""
        if value is None:
            self.faults.append(f"{place} is missing")
        elif isinstance(value, dict):
            return self.range(place, value, low, high)
        else:
            values = value if isinstance(value, list) else [value]
            faults = list(_list_faults(place, values, low, high))
            self.faults += faults
            if not faults:
                return Choice(tuple(sorted(values)), self._ordered_lists)
        return Choice((low,))

    def range(self, place: str, table: dict[str, Any], low: int, high: int) -> Choice:
        self.keys(table, f"{place}.", ("low", "high", "step"))
        numbers: list[Any] = [table.get("low"), table.get("high"), table.get("step", 1)]
        faults = [
            f"{place}.{key} is {number!r}: an integer from {low} to {high} is expected"
            for key, number in zip(("low", "high", "step"), numbers)
            if not _is_int(number) or not low <= number <= high
        ]
        if not faults:
            first, last, step = numbers
            if last < first or (last - first) % step:
                faults = [
                    f"{place}: steps of {step} from low = {first} do not arrive at high = {last}"
                ]
        self.faults += faults
        if faults:
            return Choice((low,))
        return Choice(tuple(range(first, last + 1, step)))

    def variants(self, table: dict[str, Any]) -> dict[str, Choice]:
        self.keys(table, "variants.", tuple(VARIANTS))
        result = {}
        for key, default in VARIANTS.items():
            value = table.get(key, default)
            values = value if isinstance(value, list) else [value]
            if not values or len(set(map(str, values))) != len(values):
                self.faults.append(f"variants.{key} is {value!r}: distinct values are expected")
            elif not all(isinstance(item, bool) for item in values):
                self.faults.append(f"variants.{key} is {value!r}: true or false is expected")
            result[key] = Choice(tuple(sorted(values, key=str)) or (default,), ordered=False)
        return result

    def limits(self, table: dict[str, Any]) -> dict[str, float]:
        self.keys(table, "limits.", LIMITS)
        for key, value in table.items():
            if key == MAX_LATENCY:
                if not _is_positive(value):
                    self.faults.append(f"limits.{key} is {value!r}: a positive number is expected")
            elif not _is_int(value) or not 1 <= value <= LARGEST:
                self.faults.append(
                    f"limits.{key} is {value!r}: a positive integer below 2^63 is expected"
                )
        for what in ("params", "macs"):
            least: Any = table.get(f"min_{what}")
            most: Any = table.get(f"max_{what}")
            if _is_int(least) and _is_int(most) and least > most:
                self.faults.append(
                    f"limits.min_{what} is {least}, above limits.max_{what} = {most}"
                )
        return table

    def references(self, tables: Any) -> tuple[dict[str, Any], ...]:
        if not isinstance(tables, list) or not all(isinstance(item, dict) for item in tables):
            self.faults.append("reference is not a list of tables: write [[reference]]")
            return ()
        if len(tables) > MAX_REFERENCES:
            self.faults.append(
                f"reference has {len(tables)} entries: at most {MAX_REFERENCES} are expected"
            )
            return ()
        result = []
        for index, table in enumerate(tables):
            place = f"reference[{index}]"
            self.keys(table, f"{place}.", ("blocks", *VARIANTS))
            reference = {**VARIANTS, **table}
            if not isinstance(reference["same_shape"], bool):
                self.faults.append(
                    f"{place}.same_shape is {reference['same_shape']!r}: true or false is expected"
                )
            try:
                # The image size depends on the data set; a large one allows any depth. The number
                # of classes does too, so same_shape, which depends on it, is not checked here.
                Architecture(
                    reference.get("blocks", ()),
                    reference["batch_norm"],
                    reference["relu_output"],
                    input_shape=(3, 4096, 4096),
                )
            except InputError as error:
                self.faults.append(f"{place}: {error}")
                continue
            result.append(reference)
        return tuple(result)

    def training(self, table: dict[str, Any]) -> TrainingDefaults:
        training, faults = read_training(table)
        self.faults += faults
        return training

    def check_references(self, space: SearchSpace) -> None:
        for index, reference in enumerate(space.references):
            for reason in space.outside(reference["blocks"], reference):
                self.faults.append(f"reference[{index}] is outside the space: {reason}")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 < value <= LARGEST


def _list_faults(place: str, values: list[Any], low: int, high: int) -> Iterator[str]:
    if not values:
        yield f"{place} is an empty list"
    for value in values:
        if not _is_int(value) or not low <= value <= high:
            yield f"{place} has {value!r}: an integer from {low} to {high} is expected"
    for text, count in Counter(map(str, values)).items():
        if count > 1:
            yield f"{place} has {text} twice"
