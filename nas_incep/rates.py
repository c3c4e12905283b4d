"""The learning rates of baselines: one rule for networks of all widths (docs/recipe.md)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping

from .recipe import Recipe

# The typical weight of the networks for which the rate of `brief` was chosen (docs/recipe.md).
_USUAL_WEIGHT = 0.15


def typical_weight(shapes: Mapping[str, tuple[int, ...]]) -> float:
    """The median, over a network's layers, of the deviation of their weights as Xavier draws them.

    `shapes` are those of its arrays; those with less than two axes are no weights of layers.
    """
    layers = [shape for shape in shapes.values() if len(shape) > 1]
    fans = [(shape[0] + shape[1]) * math.prod(shape[2:]) for shape in layers]
    return math.sqrt(2 / statistics.median(fans)) if fans else math.inf


def rate_scale(shapes: Mapping[str, tuple[int, ...]]) -> float:
    """What a network's learning rate is multiplied by, at most 1.

    `shapes` are those of its arrays by their names. Adam moves every weight by about its rate,
    whatever the weight's size, so a rate that suits narrow networks moves the small weights of wide
    ones by too large a part: the rate is in proportion to the weights. Without batch normalization
    the many small steps of a wide layer also add up in its outputs, and nothing scales them back:
    there it is in proportion to their square, that is, to 1 / fan (Yang et al., arXiv:2203.03466).
    """
    part = min(1.0, typical_weight(shapes) / _USUAL_WEIGHT)
    normalized = any(name.endswith(("running_mean", "moving_mean")) for name in shapes)
    return part if normalized else part**2


def rate_for(recipe: Recipe, scale: float) -> float:
    """The learning rate of a baseline, to two digits. Other optimizers keep the recipe's."""
    if recipe.optimizer != "adam" or scale >= 1:
        return recipe.learning_rate
    return float(f"{recipe.learning_rate * scale:.2g}")
