"""How many architectures a space has, and the range of their costs, without visiting them all."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..architecture import Architecture, Block
from ..errors import InputError
from .space import Choice, SearchSpace

COSTS = ("parameters", "macs")
OUTPUTS = ("n1_1", "n2_3", "n3_5", "n4_1")  # with same_shape, they add up to the classes
InputShape = tuple[int, int, int]  # channels, height, width


def count(space: SearchSpace, classes: int, input_shape: InputShape) -> int:
    """The number of distinct architectures for such images and classes, regardless of limits."""
    total = 0
    for depth in _depths(space, input_shape):
        *others, last = space.blocks[:depth]
        stacks = math.prod(len(c.values) for block in others for c in block.values())
        inner = math.prod(len(c.values) for key, c in last.items() if key not in OUTPUTS)
        for same_shape in space.variants["same_shape"].values:
            outputs = [last[key] for key in OUTPUTS]
            every = math.prod(len(choice.values) for choice in outputs)
            total += stacks * inner * (_ways(outputs, classes) if same_shape else every)
    norms, relus = (len(space.variants[key].values) for key in ("batch_norm", "relu_output"))
    return total * norms * relus


def cost_range(
    space: SearchSpace, classes: int, input_shape: InputShape
) -> dict[str, tuple[int, int]]:
    """The smallest and largest `parameters` and `macs` in the space, regardless of limits.

    Raises InputError if no architecture in the space fits such images and classes.
    """
    ends: dict[tuple[str, int], list[int]] = {(w, end): [] for w in COSTS for end in (0, -1)}
    for depth in _depths(space, input_shape):
        for (what, end), found in ends.items():
            for same_shape in space.variants["same_shape"].values:
                found += _extreme(space, what, end, depth, same_shape, classes, input_shape)
    if not ends["macs", 0]:
        shape = "x".join(map(str, input_shape))
        raise InputError(
            f"space {space.name}: none of its architectures fits images of {shape} "
            f"and {classes} classes"
        )
    return {what: (min(ends[what, 0]), max(ends[what, -1])) for what in COSTS}


def _depths(space: SearchSpace, input_shape: InputShape) -> list[int]:
    """The depths for which at least one pixel remains."""
    return [depth for depth in space.depth.values if min(input_shape[1:]) >> depth]


def _extreme(
    space: SearchSpace,
    what: str,
    end: int,
    depth: int,
    same_shape: bool,
    classes: int,
    input_shape: InputShape,
) -> Iterator[int]:
    """The least (`end` 0) or greatest (-1) cost of the architectures of one depth, if any.

    Costs grow with every width and with batch normalization, so the narrowest or the widest network
    has it, unless the last block's outputs must add up to the number of classes.
    """
    batch_norm = space.variants["batch_norm"].values[end]
    blocks = [
        Block(*(choices[key].values[end] for key in Block._fields))
        for choices in space.blocks[:depth]
    ]

    def cost(outputs: Mapping[str, int]) -> int:
        stack = (*blocks[:-1], blocks[-1]._replace(**outputs))
        architecture = Architecture(
            stack, batch_norm, same_shape=same_shape, classes=classes, input_shape=input_shape
        )
        found: int = getattr(architecture, what)
        return found

    if not same_shape:
        yield cost({})
        return
    if classes < len(OUTPUTS):
        return
    # As long as the sum stays the same, the cost is linear in each output: moving a map from n1_1
    # to another output always adds the same.
    base = {"n1_1": classes - 3, "n2_3": 1, "n3_5": 1, "n4_1": 1}
    start, added = cost(base), dict.fromkeys(OUTPUTS, 0)
    if classes > len(OUTPUTS):
        for key in OUTPUTS[1:]:
            added[key] = cost({**base, "n1_1": classes - 4, key: 2}) - start
    offset = start - sum(added.values())
    weighted = [(space.blocks[depth - 1][key], added[key]) for key in OUTPUTS]
    extreme = _extreme_sum(weighted, classes, end)
    if extreme is not None:
        yield offset + extreme


def _ways(choices: Sequence[Choice], total: int) -> int:
    """In how many ways one number of each choice can be taken so that they add up to `total`."""
    ways = np.zeros(total + 1, np.int64)  # by the sum of the numbers so far
    ways[0] = 1
    for choice in choices:
        following = np.zeros_like(ways)
        for value in _up_to(total, choice):
            following[value:] += ways[: total + 1 - value]
        ways = following
    return int(ways[total])


def _up_to(most: int, choice: Choice) -> tuple[int, ...]:
    return choice.values[: bisect.bisect_right(choice.values, most)]


def _extreme_sum(weighted: Sequence[tuple[Choice, int]], total: int, end: int) -> int | None:
    """The least (`end` 0) or greatest (-1) weighted sum of numbers that add up to `total`.

    There is one number for each choice, which is given with its weight; None if none fit.
    """
    none = np.inf if end == 0 else -np.inf
    better = np.minimum if end == 0 else np.maximum
    best = np.full(total + 1, none)  # by the sum of the numbers so far; exact up to 2**53
    best[0] = 0.0
    for choice, weight in weighted:
        following = np.full_like(best, none)
        for value in _up_to(total, choice):
            shifted = best[: total + 1 - value] + float(weight * value)
            following[value:] = better(following[value:], shifted)
        best = following
    return None if np.isinf(best[total]) else int(best[total])
