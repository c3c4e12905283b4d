"""The Optuna study of a run: where it is stored, what samples it, what it is told."""

from __future__ import annotations

import fcntl
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from .errors import InputError
from .recipe import derive_seed
from .records import FAILED, TrialRecord

# Optuna's own log lines would break into the progress display.
optuna.logging.set_verbosity(optuna.logging.WARNING)

STUDY_NAME = "nas-incep"
DUPLICATE_OF = "duplicate_of"  # a trial's attribute: the number of the trial that it repeats
# After this many repetitions in a row the sampler is held to be stuck.
MAX_REPETITIONS = 3


def _tpe(seed: int) -> BaseSampler:
    # Optuna's defaults move between releases, and TPE's results with them: all that matters is set.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(
            n_startup_trials=10,
            n_ei_candidates=24,
            multivariate=True,
            group=True,  # parameters of a deeper network exist in some trials only
            constant_liar=True,
            seed=seed,
        )


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": _tpe,
    "random": lambda seed: RandomSampler(seed=seed),
}


class PerTrialSampler(BaseSampler):
    """Begins each trial with a fresh sampler, seeded by (search seed, trial number).

    So a resumed search neither replays nor skips random numbers, and processes that share a study
    never share a stream. When the last trials all repeated earlier ones, the next is drawn at
    random.
    """

    def __init__(self, name: str, seed: int) -> None:
        if name not in SAMPLERS:
            raise InputError(f"unknown sampler {name!r}; the samplers are {', '.join(SAMPLERS)}")
        self._name, self._seed = name, seed
        self._sampler = SAMPLERS[name](seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        name = "random" if _is_stuck(study, trial.number) else self._name
        self._sampler = SAMPLERS[name](derive_seed(self._seed, "sampler", trial.number))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: Any, values: Any) -> None:
        self._sampler.after_trial(study, trial, state, values)


def _is_stuck(study: Study, number: int) -> bool:
    last = study.get_trials(deepcopy=False)[:number][-MAX_REPETITIONS:]
    return len(last) == MAX_REPETITIONS and all(DUPLICATE_OF in t.user_attrs for t in last)


class _KernelLock(JournalFileOpenLock):
    """A lock that the kernel releases when its holder is killed; Optuna's own then waits 30 s."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self) -> bool:
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o666)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        os.close(self._descriptor)


def open_study(journal: Path, sampler: str, seed: int, enqueue: list[dict[str, Any]]) -> Study:
    """The study stored in `journal`, new or old, with `enqueue` as its first trials' parameters."""
    lock = _KernelLock(journal.with_suffix(".lock"))
    _mend_tail(journal, lock)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))
    study = optuna.create_study(
        study_name=STUDY_NAME,
        storage=storage,
        direction="maximize",
        sampler=PerTrialSampler(sampler, seed),
        pruner=optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    for parameters in enqueue:
        study.enqueue_trial(parameters, skip_if_exists=True)
    return study


def _mend_tail(journal: Path, lock: _KernelLock) -> None:
    """Cuts off a last line that a crash has left half written; Optuna would never read past it."""
    if not journal.exists():
        return
    lock.acquire()
    try:
        with open(journal, "r+b") as file:
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)
    finally:
        lock.release()


def running_trials(study: Study) -> list[Trial]:
    """The trials that an earlier process left unfinished, with all that they had drawn."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [Trial(study, trial._trial_id) for trial in running]


def next_trial(study: Study) -> Trial:
    """The first unfinished trial, or a new one."""
    unfinished = running_trials(study)
    return unfinished[0] if unfinished else study.ask()


def tell(study: Study, trial: Trial, record: TrialRecord, value: float | None) -> None:
    """Ends a trial as its record says; `value` is the accuracy, if there is one.

    Samplers keep away from what is told as pruned without a value. A failure says nothing of the
    architecture, and an over-budget one is told by how much, so that TPE learns the border.
    """
    if value is not None:
        study.tell(trial, value)
    elif record.state == FAILED:
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, state=TrialState.PRUNED)


def report(study: Study, trial: Trial, values: dict[int, float]) -> None:
    """Reports a learning curve by epoch, from 1 on, but no point of it twice."""
    known = study.get_trials(deepcopy=False)[trial.number].intermediate_values
    for epoch, value in values.items():
        if epoch not in known:
            trial.report(value, epoch)


def set_constraints(study: Study, trial: Trial, broken: dict[str, float]) -> None:
    """Says how far each limit is broken; a second time, after a crash, says nothing."""
    known = study.get_trials(deepcopy=False)[trial.number].constraints
    for key, value in broken.items():
        if key not in known:
            trial.set_constraint(key, value)
