"""Networks as points, among which the nearest to what a sampler draws is found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..spaces.space import Choice, Trial

Point = dict[str, Any]  # the parameters of a network, as a sampler draws them


class Places:
    """Where the networks of a table are in the space of their parameters."""

    def __init__(self, points: Sequence[Point], ordered: bool) -> None:
        """`ordered` tells whether the values of a parameter, but for true and false, have an order.

        Points with blocks begin with their number.
        """
        self._choices = {
            key: Choice(
                tuple(sorted({point[key] for point in points if key in point})),
                ordered and not any(isinstance(point.get(key), bool) for point in points),
            )
            for key in dict.fromkeys(key for point in points for key in point)
        }
        self._rows = np.array([self._row(point) for point in points])
        self._ordered = np.array([choice.ordered for choice in self._choices.values()])

    def draw(self, trial: Trial) -> Point:
        """The point that a trial draws: the parameters of its blocks alone, if it has blocks."""
        point: Point = {}
        for key, choice in self._choices.items():
            block = re.match(r"b(\d+)\.", key)
            if block is None or int(block[1]) < point["blocks"]:
                point[key] = choice.suggest(trial, key)
        return point

    def distances(self, point: Point) -> np.ndarray:
        """How far each network is from a point, `(networks,)`; 0 for the same.

        The sum over all parameters: the distance of the values' places in the parameter's order,
        of which the ends have distance 1; 1 for values without an order, and where one of the two
        lacks the parameter.
        """
        row = self._row(point)
        difference = np.abs(self._rows - row)
        difference = np.where(self._ordered, difference, np.ceil(difference))
        missing = np.isnan(self._rows) & np.isnan(row)
        found: np.ndarray = np.where(missing, 0, np.nan_to_num(difference, nan=1)).sum(axis=1)
        return found

    def _row(self, point: Point) -> list[float]:
        """The places of a point's values, from 0 to 1; NaN for what it lacks."""
        return [
            choice.values.index(point[key]) / max(1, len(choice.values) - 1)
            if key in point
            else np.nan
            for key, choice in self._choices.items()
        ]
