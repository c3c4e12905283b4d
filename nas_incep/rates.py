"""The learning rates of baselines: one rule for networks of all widths (docs/recipe.md)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

from .recipe import Recipe

# The typical weight of the networks for which the rate of `brief` was chosen (docs/recipe.md).
_USUAL_WEIGHT = 0.15


def groups_of(graph: Mapping[str, Any]) -> dict[str, int]:
    """Of a graph in symbol JSON, the number of groups of grouped convolutions by weight's name."""
    nodes = graph["nodes"]
    found = {}
    for node in nodes:
        groups = int(node.get("attrs", {}).get("num_group", 1)) if node["op"] != "null" else 1
        if groups > 1:
            found[nodes[node["inputs"][1][0]]["name"]] = groups
    return found


def typical_weight(shapes: Mapping[str, tuple[int, ...]], groups: Mapping[str, int]) -> float:
    """The median, over a network's layers, of the deviation of their weights after Xavier.

    That is the root of 2 / (fan in + fan out). `shapes` are those of its arrays; those with less
    than two axes are no weights of layers. `groups` as of `groups_of`: where channels are computed
    in groups, as in a depthwise convolution, each value depends on fewer, and feeds fewer.
    """
    fans = [
        (shape[0] // groups.get(name, 1) + shape[1]) * math.prod(shape[2:])
        for name, shape in shapes.items()
        if len(shape) > 1
    ]
    return math.sqrt(2 / statistics.median(fans)) if fans else math.inf


def rate_scale(
    shapes: Mapping[str, tuple[int, ...]], groups: Mapping[str, int] | None = None
) -> float:
    """What a network's learning rate is multiplied by, at most 1.

    `shapes` are those of its arrays by their names, `groups` as of `groups_of`. Adam moves every
    weight by about its rate, whatever the weight's size, so a rate that suits narrow networks moves
    the small weights of wide ones by too large a part: the rate is in proportion to the weights.
    Without batch normalization the many small steps of a wide layer also add up in its outputs, and
    nothing scales them back: there it is in proportion to their square, that is, to 1 / fan (Yang
    et al., arXiv:2203.03466).
    """
    part = min(1.0, typical_weight(shapes, groups or {}) / _USUAL_WEIGHT)
    normalized = any(name.endswith(("running_mean", "moving_mean")) for name in shapes)
    return part if normalized else part**2


def rate_for(recipe: Recipe, scale: float) -> float:
    """The learning rate of a baseline, to two digits. Other optimizers keep the recipe's."""
    if recipe.optimizer != "adam" or scale >= 1:
        return recipe.learning_rate
    return float(f"{recipe.learning_rate * scale:.2g}")
