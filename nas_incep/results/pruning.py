"""Which trainings are stopped early: the pruners by name, and the epochs after which they decide.

The Optuna pruners themselves are in `study.pruners`.
"""

from __future__ import annotations

import itertools
import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._text import counted
from ..errors import InputError
from ..recipe import MAX_EPOCHS

if TYPE_CHECKING:
    from ..records import EpochResult

# The median of fewer earlier networks decides nothing.
MEDIAN_OF = 5
PRUNERS = ("none", "sha", "hyperband", "median")
# The images on which the accuracies are measured that pruners compare.
TRAIN, VALIDATION = "train", "validation"


# The share of the epochs before which networks cannot be told apart (docs/evidence.md).
_FIRST = 4


def default_first_rung(epochs: int) -> int:
    """The first rung of trainings of that many epochs, unless another is asked for."""
    return max(1, epochs // _FIRST)


@dataclass(frozen=True)
class Pruning:
    """Which trainings are stopped early, after which epochs that is decided, and by what.

    `sha` is asynchronous successive halving (Li et al., arXiv:1810.05934): of the networks that
    reach a rung, only the best one in `reduction` continues. Its rungs are `first_rung` times the
    powers of `reduction`. `hyperband` (Li et al., arXiv:1603.06560) runs several brackets of it
    side by side, each of which starts one rung later, so slow starters have a chance. `median`
    stops networks that are worse than the median of earlier ones. They compare the accuracy of an
    epoch on the images that it was trained on, or on the validation images.
    """

    name: str = "none"
    first_rung: int = 1  # epochs
    reduction: int = 3
    by: str = VALIDATION  # as in runs from before there was a choice

    def __post_init__(self) -> None:
        if self.name not in PRUNERS:
            raise InputError(f"--pruner {self.name}: the pruners are {', '.join(PRUNERS)}")
        if self.by not in (TRAIN, VALIDATION):
            raise InputError(f"--prune-by {self.by}: {TRAIN} or {VALIDATION} is expected")
        if self.first_rung < 1 or self.reduction < 2:
            raise InputError(
                f"rungs begin at epoch 1 or later, not {self.first_rung}, "
                f"and the reduction is 2 or more, not {self.reduction}"
            )
        if max(self.first_rung, self.reduction) > MAX_EPOCHS:
            raise InputError(
                f"the first rung is {self.first_rung} and the reduction {self.reduction}: "
                f"at most {MAX_EPOCHS:,} is expected"
            )

        # What a pruner does not use makes no difference, so it is no part of a run's identity.
        if self.name == "none":
            object.__setattr__(self, "first_rung", 1)
            object.__setattr__(self, "by", VALIDATION)
        if self.name in ("none", "median"):
            object.__setattr__(self, "reduction", 3)

    def seen(self, point: EpochResult) -> float:
        """The accuracy of an epoch that networks are compared by.

        While the learning rate is high, that on the validation images changes by several points
        from step to step; that on the training images is a mean over the epoch (docs/evidence.md).
        """
        return point.train_accuracy if self.by == TRAIN else point.val_accuracy

    def rungs(self, epochs: int, number: int = 0) -> list[int]:
        """The epochs after which the training of trial `number` may be stopped."""
        if self.name == "none":
            return []
        if self.name == "median":
            return list(range(self.first_rung, epochs))
        powers = (self.first_rung * self.reduction**k for k in itertools.count())
        rungs = list(itertools.takewhile(lambda rung: rung < epochs, powers))
        return rungs[self.bracket(epochs, number) :]

    def idle(self, epochs: int, trials: int) -> tuple[str, ...]:
        """A notice if no training of a search over `trials` candidates can be stopped early."""
        if self.name == "none":
            return ()
        if self.first_rung >= epochs:
            why = f"it decides from epoch {self.first_rung} on, but before the last of {epochs}"
        elif 0 < trials <= (least := MEDIAN_OF if self.name == "median" else 1):
            why = f"it compares with at least {counted(least, 'other')}, and --trials is {trials}"
        else:
            return ()
        return (f"--pruner {self.name} stops no training: {why}",)

    def bracket(self, epochs: int, number: int) -> int:
        """The number of first rungs that a trial skips; it depends only on the trial's number.

        Trials are distributed by weight, so that all brackets spend about the same number of
        epochs: with n brackets, one that has s further rungs has the weight
        ceil(n * reduction^s / (s + 1)) (section 3 of the paper).
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
