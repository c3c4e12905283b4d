"""The Optuna pruners that decide which trainings stop early."""

from __future__ import annotations

from collections.abc import Callable

from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from ..results.pruning import MEDIAN_OF, Pruning
from ._optuna import FIRST_TRY


def make_pruner(pruning: Pruning, epochs: int) -> BasePruner:
    """The Optuna pruner that decides at the rungs of a training of `epochs` epochs."""
    if pruning.name in ("sha", "hyperband"):
        return SuccessiveHalving(
            pruning.reduction, lambda trial: pruning.bracket(epochs, origin(trial))
        )
    if pruning.name == "median":
        return MedianPruner(
            n_startup_trials=MEDIAN_OF,
            n_warmup_steps=pruning.first_rung - 1,
            interval_steps=1,
            n_min_trials=1,
        )
    return NopPruner()


def origin(trial: FrozenTrial) -> int:
    """The number of the first attempt at a retried trial, or else of the trial itself."""
    number: int = trial.system_attrs.get(FIRST_TRY, trial.number)
    return number


class SuccessiveHalving(BasePruner):
    """Asynchronous successive halving: the best 1 in `reduction` trials at a rung goes on.

    Optuna's own pruner marks the rung as passed before it answers, so a trial that is killed in
    between would pass without a decision. Its Hyperband creates the brackets at the first call, so
    a resumed search could draw others. This pruner keeps no state and gives the same answer when
    asked again. Trials compete only within their `bracket`.
    """

    def __init__(self, reduction: int, bracket: Callable[[FrozenTrial], int]) -> None:
        self._reduction, self._bracket = reduction, bracket

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        epoch = trial.last_step
        assert epoch is not None  # called after a report
        value = trial.intermediate_values[epoch]
        bracket = self._bracket(trial)
        rung = [
            other.intermediate_values[epoch]
            for other in study.get_trials(deepcopy=False)
            if epoch in other.intermediate_values
            and other.number != trial.number
            and other.state != TrialState.FAIL  # its retry competes in its place
            and self._bracket(other) == bracket
        ]
        promoted = max(1, (len(rung) + 1) // self._reduction)
        return sum(other > value for other in rung) >= promoted
