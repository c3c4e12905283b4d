"""Which trainings are ended early: the pruners by name, and the epochs at which they are asked.

Pure: the Optuna pruners that decide are made in `study.pruners`.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

from ..errors import InputError

PRUNERS = ("none", "sha", "hyperband", "median")


@dataclass(frozen=True)
class Pruning:
    """Which trainings are ended early, and after which epochs that is decided.

    `sha` is asynchronous successive halving (Li et al., arXiv:1810.05934): of the networks that
    reach a rung, the best one in `reduction` goes on. Its rungs are `first_rung` times the powers
    of `reduction`. `hyperband` (Li et al., arXiv:1603.06560) runs several of these side by side,
    each with its first rung at a later one; so networks that begin slowly are not all lost.
    `median` ends what is worse than the median of the earlier ones.
    """

    name: str = "none"
    first_rung: int = 1  # epochs
    reduction: int = 3

    def __post_init__(self) -> None:
        if self.name not in PRUNERS:
            raise InputError(f"--pruner {self.name}: the pruners are {', '.join(PRUNERS)}")
        if self.first_rung < 1 or self.reduction < 2:
            raise InputError(
                f"rungs begin at epoch 1 or later, not {self.first_rung}, "
                f"and the reduction is 2 or more, not {self.reduction}"
            )

    def rungs(self, epochs: int, number: int = 0) -> list[int]:
        """The epochs after which the training of trial `number` may be ended."""
        if self.name == "none":
            return []
        if self.name == "median":
            return list(range(self.first_rung, epochs))
        powers = (self.first_rung * self.reduction**k for k in range(epochs))
        rungs = [rung for rung in powers if rung < epochs]
        return rungs[self.bracket(epochs, number) :]

    def bracket(self, epochs: int, number: int) -> int:
        """How many of the rungs a trial is spared. It is a matter of its number alone.

        Brackets are given out by weight, so that each spends about the same number of epochs: with
        s further rungs, ceil(n * reduction^s / (s + 1)) of them begin (section 3 of the paper).
        """
        if self.name != "hyperband":
            return 0
        brackets = 1
        while self.first_rung * self.reduction ** (brackets - 1) < epochs:
            brackets += 1
        weights = [
            math.ceil(brackets * self.reduction**s / (s + 1)) for s in reversed(range(brackets))
        ]
        place = zlib.crc32(str(number).encode()) % sum(weights)
        return next(b for b in range(brackets) if place < sum(weights[: b + 1]))
