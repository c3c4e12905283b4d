"""The study of a run, shared by its workers."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import InMemoryStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from ..architecture import Architecture
from ..errors import GivenAway
from ..records import DUPLICATE, FAILED, KILLED, EpochResult, TrialRecord
from ..results.config import RunConfig
from ..results.pruning import Pruning
from . import attributes, heartbeat
from ._optuna import ALL_TRIES, has_heartbeat, stale_trial_ids, storage_of, trial_id
from .journal import FileStorage, quiet
from .opening import study_of
from .samplers import DUPLICATE_OF
from .storage import close_storage, lock_of, open_storage
from .trial import ARCHITECTURE, LATENCY, WORKER, StudyTrial

MAX_RETRIES = 1  # of a stale trial

# Optuna's log lines would garble the progress display; they go to the log files.
optuna.logging.disable_default_handler()
logging.getLogger("optuna").addHandler(logging.NullHandler())
optuna.logging.set_verbosity(optuna.logging.WARNING)


class SharedStudy:
    """A run's study and the lock under which its workers take trials.

    Callers of `ask`, `put_back`, `try_again` and `tell` hold `lock`, so that the number of trials
    is exact with any number of workers. Every step can be repeated after a crash.
    """

    def __init__(
        self, study: Study, lock: AbstractContextManager[Any], pruning: Pruning, epochs: int
    ) -> None:
        self.lock = lock
        self._study, self._storage = study, storage_of(study)
        self._pruning, self._epochs = pruning, epochs

    @classmethod
    def open(
        cls, config: RunConfig, folder: Path, where: Path | str, create: bool = False
    ) -> SharedStudy:
        """Opens the study of the run in `folder`, stored at `where`: a journal's path or a URL.

        With `create` it may be missing, and what the request tries first is enqueued unless it
        already is. Raises InputError if the storage cannot be used, StudyDamaged if it has
        no such study or a journal is damaged.
        """
        storage = open_storage(where, config.study.heartbeat)
        first = config.request.first_points if create else ()
        study = study_of(config, storage, first, create)
        lock = lock_of(storage_of(study), config.study.name, folder, where)
        return cls(study, lock, config.request.pruning, config.request.recipe.epochs)

    @classmethod
    def in_memory(cls, config: RunConfig) -> SharedStudy:
        """A study of this process alone, which ends with it."""
        request, study = config.request, study_of(config, InMemoryStorage())
        return cls(study, nullcontext(), request.pruning, request.recipe.epochs)

    def close(self) -> None:
        """Closes the connections."""
        close_storage(self._storage)

    @property
    def has_heartbeat(self) -> bool:
        """Whether the storage detects dead workers, on any machine."""
        return has_heartbeat(self._storage)

    def is_unreachable(self, error: BaseException) -> bool:
        """Whether an error means that calls are in vain and would wait: a gRPC proxy is gone."""
        return type(error).__module__.partition(".")[0] == "grpc"

    @property
    def skipped_lines(self) -> int:
        """How many lines of the journal are not Optuna's, and were skipped."""
        return self._storage.file.skipped if isinstance(self._storage, FileStorage) else 0

    @property
    def size(self) -> int:
        """The number of trials, in any state."""
        return len(self.trials())

    def running(self) -> list[StudyTrial]:
        return [StudyTrial(trial) for trial in self._in_state(TrialState.RUNNING)]

    def has_waiting(self) -> bool:
        """Whether a trial is queued, to be asked for before a new one is drawn."""
        return bool(self._in_state(TrialState.WAITING))

    def finished(self) -> list[int]:
        """The numbers of the trials that have ended."""
        ended = self._in_state(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        return [trial.number for trial in ended]

    def stale(self) -> list[StudyTrial]:
        """The running trials without a recent heartbeat; only valid if `has_heartbeat`."""
        ids = set(stale_trial_ids(self._study))
        return [trial for trial in self.running() if trial.id in ids]

    def ask(self, worker: str) -> StudyTrial:
        """The next trial, assigned to the worker of that name."""
        asked = heartbeat.ask(self._study)
        try:
            asked.set_user_attr(WORKER, worker)
            return StudyTrial(self._read(trial_id(asked)), asked)
        except BaseException:
            self.put_back(StudyTrial(self._read(trial_id(asked))))
            raise

    def owns(self, worker: str, trial: StudyTrial) -> bool:
        """Whether the worker still owns a trial that it asked for."""
        stored = self._read(trial.id)
        return stored.state == TrialState.RUNNING and stored.user_attrs.get(WORKER) == worker

    def keep_alive(self, trial: StudyTrial) -> AbstractContextManager[None]:
        """Records heartbeats while the block trains the trial, if `has_heartbeat`."""
        return heartbeat.heartbeat(self._storage, trial.id)

    def note_architecture(self, trial: StudyTrial, architecture: Architecture) -> None:
        """Stores the architecture of a running trial, for other processes."""
        self._storage.set_trial_user_attr(trial.id, ARCHITECTURE, architecture.to_json())

    def latency_ms(self, trial: StudyTrial) -> float | None:
        """The latency in ms that `note_latency` stored, perhaps in an earlier attempt."""
        return StudyTrial(self._read(trial.id)).latency_ms

    def note_latency(self, trial: StudyTrial, milliseconds: float) -> None:
        self._storage.set_trial_user_attr(trial.id, LATENCY, milliseconds)

    def report(self, trial: StudyTrial, points: Iterable[EpochResult]) -> None:
        """Reports epochs, each of them once. Raises GivenAway if the trial has ended.

        Does nothing with several objectives, for which Optuna accepts no reports.
        """
        if len(self._study.directions) > 1:
            return
        known = self._read(trial.id).intermediate_values
        handle = self._handle(trial)
        try:
            for point in points:
                if point.epoch not in known:
                    handle.report(self._pruning.seen(point), point.epoch)
        except optuna.exceptions.UpdateFinishedTrialError:
            raise GivenAway from None

    def should_prune(self, trial: StudyTrial, epoch: int) -> bool:
        """Whether to prune the trial after this epoch, which was reported.

        If a later epoch was reported before a crash, the trial was not pruned at this one.
        """
        if epoch not in self._pruning.rungs(self._epochs, trial.origin):
            return False
        return self._read(trial.id).last_step == epoch and trial.asked.should_prune()

    def put_back(self, trial: StudyTrial) -> None:
        """Requeues a running trial, which keeps its number and sampled parameters.

        Does nothing if it has ended meanwhile.
        """
        with suppress(optuna.exceptions.UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(trial.id, WORKER, "")
            self._storage.set_trial_state_values(trial.id, TrialState.WAITING)

    def try_again(self, trial: StudyTrial) -> int | None:
        """Ends a stale trial and queues a retry; the number of the retry, None after the last."""
        retries = self._retries(trial)
        if not retries:
            first = copy.deepcopy(trial.stored)  # the callback writes into what it is given
            first.user_attrs.pop(WORKER, None)
            with quiet():
                queue = RetryHeartbeatStaleTrialCallback(
                    MAX_RETRIES, inherit_intermediate_values=True
                )
            queue(self._study, first)
            retries = self._retries(trial)
        with suppress(optuna.exceptions.UpdateFinishedTrialError):  # another program has ended it
            self._storage.set_trial_state_values(trial.id, TrialState.FAIL)
        return retries[0] if retries else None

    def describe(self, config: RunConfig, baselines: Sequence[TrialRecord]) -> None:
        """Notes what is searched and how the baselines ended, for people who open the study."""
        attributes.describe(self._study, config, baselines)

    def note_outcome(self, trial: StudyTrial, record: TrialRecord) -> None:
        """Notes how a trial ended, for people who open the study; nothing if it is told already."""
        attributes.note_outcome(self._storage, trial.id, record)

    def tell(
        self,
        trial: StudyTrial,
        state: str,
        values: Sequence[float] | None,
        constraints: Mapping[str, float] | None = None,
        duplicate_of: int | None = None,
    ) -> None:
        """Ends a trial in one of the states of a record, with the objectives' values if it has any.

        Samplers avoid what is told as pruned without a value; they learn nothing from a failure.
        That is what a duplicate is told as: its original has the value, and plots and importances
        that read the study must not count a network twice.
        `constraints` tell by how much each limit is exceeded, so that TPE learns the boundary.
        `duplicate_of` is the number of the trial with the same network.
        """
        handle = self._handle(trial)
        if duplicate_of is not None:
            handle.set_user_attr(DUPLICATE_OF, duplicate_of)
        known = self._read(trial.id).constraints
        for key, value in (constraints or {}).items():
            if key not in known:
                handle.set_constraint(key, value)
        if values is not None:
            told = TrialState.COMPLETE
        elif state in (DUPLICATE, FAILED, KILLED):
            told = TrialState.FAIL
        else:
            told = TrialState.PRUNED
        # Already finished: told over a connection that was then lost, or by another program.
        self._study.tell(handle, list(values) if values else None, told, skip_if_finished=True)

    def trials(self) -> list[FrozenTrial]:
        """All trials as they are stored; not to be changed."""
        return self._study.get_trials(deepcopy=False)

    def _in_state(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states)

    def _read(self, id: int) -> FrozenTrial:
        """The trial as stored now; a handle only knows what its own process did."""
        return self._storage.get_trial(id)

    def _handle(self, trial: StudyTrial) -> Trial:
        """Optuna's handle to a running trial; a new one for a trial of another process."""
        return trial.asked if trial.is_asked else Trial(self._study, trial.id)

    def _retries(self, trial: StudyTrial) -> list[int]:
        return [
            other.number
            for other in self.trials()
            if trial.number in other.system_attrs.get(ALL_TRIES, [])
        ]
