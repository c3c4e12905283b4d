"""Spaces written in a test, and trials that sample them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from nas_incep.architecture import Architecture, Block
from nas_incep.errors import InputError
from nas_incep.spaces.reader import parse_space
from nas_incep.spaces.space import (
    VARIANTS,
    SearchSpace,
)

HEAD = 'format = "nas-incep-space"\nversion = 1\n'
ONES = "num_convs = 1\nn1_1 = 1\nn2_1 = 1\nn2_3 = 1\nn3_1 = 1\nn3_5 = 1\nn4_1 = 1\n"
ONE_BLOCK = HEAD + "blocks = 1\n"
SOUND = ONE_BLOCK + "[parameters]\n" + ONES

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
