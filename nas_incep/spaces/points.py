"""Points of a space without a study: given ones and random ones."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any


class Point:
    """The point with the given parameters; a `spaces.space.Trial`, like a study's trial."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        return int(self._parameters[name])

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._parameters[name]


class RandomPoint:
    """A point whose parameters are drawn on request; equal states of `rng` give equal points."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        return self._rng.randrange(low, high + 1, step)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._rng.choice(choices)
