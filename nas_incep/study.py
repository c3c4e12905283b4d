"""The Optuna study of a run: where it is stored, what samples it, what it is told."""

from __future__ import annotations

import fcntl
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import (
    BasePruner,
    MedianPruner,
    NopPruner,
)
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from .errors import InputError
from .evolution import EvolutionSampler
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
    return TPESampler(
        n_startup_trials=10,
        n_ei_candidates=24,
        multivariate=True,
        group=True,  # parameters of a deeper network exist in some trials only
        constant_liar=True,
        seed=seed,
    )


def _nsga2(seed: int) -> BaseSampler:
    return NSGAIISampler(population_size=20, seed=seed)


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": _tpe,
    "random": lambda seed: RandomSampler(seed=seed),
    "nsga2": _nsga2,
    "grid": lambda seed: BruteForceSampler(seed=seed),  # every point once, in random order
    "evolution": EvolutionSampler,
}


def _new_sampler(name: str, seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return SAMPLERS[name](seed)


class PerTrialSampler(BaseSampler):
    """Begins each trial with a fresh sampler, seeded by (search seed, trial number).

    So a resumed search neither replays nor skips random numbers, and processes that share a study
    never share a stream. When the last trials all repeated earlier ones, the next is drawn at
    random.
    """

    def __init__(self, name: str, seed: int) -> None:
        if name not in SAMPLERS:
            raise InputError(f"unknown sampler {name!r}; the samplers are {', '.join(SAMPLERS)}")
        self._name, self._current, self._seed = name, name, seed
        self._sampler = _new_sampler(name, seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._current = "random" if _is_stuck(study, trial.number) else self._name
        self._sampler = self._fresh(trial.number)
        self._sampler.before_trial(study, trial)

    def _fresh(self, *purpose: object) -> BaseSampler:
        return _new_sampler(self._current, derive_seed(self._seed, "sampler", *purpose))

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
        # A stream for each parameter: a trial that was stopped while it drew has some of them
        # already, and must draw the others as if it had not been.
        sampler = self._fresh(trial.number, param_name)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    # after_trial is left out: Optuna's samplers use it for constraint functions, which are not used
    # here, and BruteForceSampler to stop Study.optimize, which is not used either.


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


@dataclass(frozen=True)
class Pruning:
    """Which trainings are ended early, and after which epochs that is decided.

    `sha` is asynchronous successive halving (Li et al., arXiv:1810.05934): of the networks that
    reach a rung, the best one in `reduction` goes on. Its rungs are `first_rung` times the powers
    of `reduction`. `median` ends what is worse than the median of the earlier ones.
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

    def rungs(self, epochs: int) -> list[int]:
        """The epochs after which a training may be ended."""
        if self.name == "none":
            return []
        if self.name == "median":
            return list(range(self.first_rung, epochs))
        powers = (self.first_rung * self.reduction**k for k in range(epochs))
        return [rung for rung in powers if rung < epochs]


class SuccessiveHalving(BasePruner):
    """Asked at a rung: is the trial's value among the best one in `reduction` that got there?

    Optuna's own notes the rung as passed before it answers; a trial that was killed in between
    would then pass it unasked. This one keeps nothing, so it answers the same when asked again.
    """

    def __init__(self, reduction: int) -> None:
        self._reduction = reduction

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        epoch = trial.last_step
        assert epoch is not None  # it is asked after a report
        value = trial.intermediate_values[epoch]
        rung = [
            other.intermediate_values[epoch]
            for other in study.get_trials(deepcopy=False)
            if epoch in other.intermediate_values and other.number != trial.number
        ]
        promoted = max(1, (len(rung) + 1) // self._reduction)
        return sum(other > value for other in rung) >= promoted


def _pruner(pruning: Pruning) -> BasePruner:
    if pruning.name == "sha":
        return SuccessiveHalving(pruning.reduction)
    if pruning.name == "median":
        return MedianPruner(
            n_startup_trials=5,
            n_warmup_steps=pruning.first_rung - 1,
            interval_steps=1,
            n_min_trials=1,
        )
    return NopPruner()


PRUNERS = ("none", "sha", "median")


def open_study(
    journal: Path,
    sampler: str,
    seed: int,
    enqueue: list[dict[str, Any]],
    pruning: Pruning,
) -> Study:
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
        pruner=_pruner(pruning),
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


def should_prune(study: Study, trial: Trial, epoch: int) -> bool:
    """Whether the trial is to be ended after this epoch.

    A later epoch that was reported before a crash shows that it was not, back then.
    """
    frozen = study.get_trials(deepcopy=False)[trial.number]
    return frozen.last_step == epoch and trial.should_prune()


def set_constraints(study: Study, trial: Trial, broken: dict[str, float]) -> None:
    """Says how far each limit is broken; a second time, after a crash, says nothing."""
    known = study.get_trials(deepcopy=False)[trial.number].constraints
    for key, value in broken.items():
        if key not in known:
            trial.set_constraint(key, value)
