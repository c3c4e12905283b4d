"""The Optuna study of a run: opening it, and what it is told of trials."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from ..errors import GivenAway
from ..records import FAILED, KILLED, TrialRecord
from .journal import quiet

# Optuna's own log lines would break into the progress display.
optuna.logging.set_verbosity(optuna.logging.WARNING)

# Attributes of a trial.
WORKER = "worker"  # the process that has it; nothing while nobody has
NETWORK = "network"  # the identity of its architecture, from when it is decided to train it
LATENCY = "latency_ms"

MAX_RETRIES = 1  # of a trial whose worker died


def open_study(
    storage: BaseStorage,
    name: str,
    directions: Sequence[Any],
    sampler: BaseSampler,
    pruner: BasePruner,
    enqueue: Sequence[dict[str, Any]] = (),
) -> Study:
    """The study of that name, new or old, with `enqueue` as its first trials' parameters."""
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=list(directions),
        sampler=sampler,
        pruner=pruner,
        load_if_exists=True,
    )
    for parameters in enqueue:
        study.enqueue_trial(parameters, skip_if_exists=True)
    return study


def running(study: Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def waiting(study: Study) -> list[FrozenTrial]:
    """The trials that are to be asked for before any new one is drawn."""
    return study.get_trials(deepcopy=False, states=(TrialState.WAITING,))


def finished(study: Study) -> list[int]:
    """The numbers of the trials that were told how they ended."""
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    return [trial.number for trial in study.get_trials(deepcopy=False, states=states)]


def frozen(study: Study, trial: Trial) -> FrozenTrial:
    """The trial as it is stored now; `trial` itself only knows what this process did to it."""
    return study._storage.get_trial(trial._trial_id)


def reattach(study: Study, trial: FrozenTrial) -> Trial:
    """A handle to a running trial, with all that it has drawn."""
    return Trial(study, trial._trial_id)


def put_back(study: Study, trial: FrozenTrial) -> None:
    """Makes a running trial the next to be asked for; it keeps its number and what it has drawn."""
    study._storage.set_trial_user_attr(trial._trial_id, WORKER, "")
    study._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)


def try_again(study: Study, trial: FrozenTrial) -> int | None:
    """Ends a trial whose worker died, and queues its second try; the number of that, if any.

    Done over, after a crash in between, it queues nothing twice.
    """
    with quiet():
        queue = RetryHeartbeatStaleTrialCallback(MAX_RETRIES, inherit_intermediate_values=True)
    if not _retries(study, trial):
        first = copy.deepcopy(trial)  # the callback writes into what it is given
        first.user_attrs.pop(WORKER, None)
        queue(study, first)
    retries = _retries(study, trial)
    study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    return retries[0] if retries else None


def _retries(study: Study, trial: FrozenTrial) -> list[int]:
    return [
        other.number
        for other in study.get_trials(deepcopy=False)
        if trial.number in other.system_attrs.get("retry_history", [])
    ]


def retry_of(trial: FrozenTrial) -> int | None:
    """The number of the killed trial that this one tries again, if it does."""
    number: int | None = trial.system_attrs.get("failed_trial")
    return number


def tell(study: Study, trial: Trial, record: TrialRecord, values: Sequence[float] | None) -> None:
    """Ends a trial as its record says; `values` are the objectives', if it has them.

    Samplers keep away from what is told as pruned without a value. A failure says nothing of the
    architecture, and an over-budget one is told by how much, so that TPE learns the border.
    """
    if values is not None:
        state = TrialState.COMPLETE
    elif record.outcome.state in (FAILED, KILLED):
        state = TrialState.FAIL
    else:
        state = TrialState.PRUNED
    # Finished already: told over a connection that was then lost, or by one who held us to be dead.
    study.tell(trial, list(values) if values else None, state, skip_if_finished=True)


def report(study: Study, trial: Trial, values: dict[int, float]) -> None:
    """Reports a learning curve by epoch, from 1 on, but no point of it twice.

    Optuna takes no reports where there are several objectives. Raises GivenAway.
    """
    if len(study.directions) > 1:
        return
    known = frozen(study, trial).intermediate_values
    try:
        for epoch, value in values.items():
            if epoch not in known:
                trial.report(value, epoch)
    except optuna.exceptions.UpdateFinishedTrialError:
        raise GivenAway from None


def should_prune(study: Study, trial: Trial, epoch: int) -> bool:
    """Whether the trial is to be ended after this epoch.

    A later epoch that was reported before a crash shows that it was not, back then.
    """
    return frozen(study, trial).last_step == epoch and trial.should_prune()


def set_constraints(study: Study, trial: Trial, broken: dict[str, float]) -> None:
    """Says how far each limit is broken; a second time, after a crash, says nothing."""
    known = frozen(study, trial).constraints
    for key, value in broken.items():
        if key not in known:
            trial.set_constraint(key, value)
