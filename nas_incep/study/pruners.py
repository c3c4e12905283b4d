"""The Optuna pruners that decide which trainings are ended early."""

from __future__ import annotations

from collections.abc import Callable

from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from ..results.pruning import Pruning
from ._optuna import FIRST_TRY


def make_pruner(pruning: Pruning, epochs: int) -> BasePruner:
    """The Optuna pruner that decides at the rungs of a training of `epochs` epochs."""
    if pruning.name in ("sha", "hyperband"):
        return SuccessiveHalving(
            pruning.reduction, lambda trial: pruning.bracket(epochs, origin(trial))
        )
    if pruning.name == "median":
        return MedianPruner(
            n_startup_trials=5,
            n_warmup_steps=pruning.first_rung - 1,
            interval_steps=1,
            n_min_trials=1,
        )
    return NopPruner()


def origin(trial: FrozenTrial) -> int:
    """The number of the trial that this one tries again, or else its own."""
    number: int = trial.system_attrs.get(FIRST_TRY, trial.number)
    return number


class SuccessiveHalving(BasePruner):
    """Asked at a rung: is the trial's value among the best one in `reduction` that got there?

    Optuna's own notes the rung as passed before it answers; a trial that was killed in between
    would then pass it unasked. Its Hyperband makes its brackets when it is first asked, so a
    resumed search could draw otherwise. This one keeps nothing, so it answers the same when asked
    again. Trials compete within their `bracket` alone.
    """

    def __init__(self, reduction: int, bracket: Callable[[FrozenTrial], int]) -> None:
        self._reduction, self._bracket = reduction, bracket

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        epoch = trial.last_step
        assert epoch is not None  # it is asked after a report
        value = trial.intermediate_values[epoch]
        bracket = self._bracket(trial)
        rung = [
            other.intermediate_values[epoch]
            for other in study.get_trials(deepcopy=False)
            if epoch in other.intermediate_values
            and other.number != trial.number
            and other.state != TrialState.FAIL  # its second try competes in its place
            and self._bracket(other) == bracket
        ]
        promoted = max(1, (len(rung) + 1) // self._reduction)
        return sum(other > value for other in rung) >= promoted
