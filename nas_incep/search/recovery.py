"""Requeue stale trials, or record them as killed and queue a retry.

Everything here runs under the sampling lock, and every step can be repeated after a crash.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from .._machine import machine_name
from ..errors import GivenAway
from ..recipe import derive_seed
from ..records import (
    CANDIDATE,
    IMPOSSIBLE,
    KILLED,
    OVER_BUDGET,
    UNTRAINED,
    Outcome,
    Subject,
    TrialRecord,
)
from ..results.config import RunConfig
from ..results.known import Known
from ..results.objectives import values
from ..results.request import SearchRequest
from ..results.run import Run
from ..spaces.space import MAX_LATENCY, excess, latency_excess
from ..study.shared import SharedStudy
from ..study.trial import StudyTrial
from .liveness import host_of, is_dead

log = logging.getLogger(__name__)

DIED = "its worker died"


@dataclass(frozen=True)
class Shared:
    """The configuration, run folder and study that all workers of a run share."""

    config: RunConfig
    run: Run
    study: SharedStudy

    @property
    def request(self) -> SearchRequest:
        return self.config.request

    @property
    def since(self) -> str:
        """When the current search was started, in the format of a record's `finished`."""
        return self.config.called or ""


def trial_seed(request: SearchRequest, trial: StudyTrial) -> int:
    """The seed of a trial; a retry has that of the first attempt, so it gives the same figures."""
    return derive_seed(request.seed, "trial", trial.origin)


class Recovery:
    """Handles the trials of dead workers, on behalf of one process that works on a run."""

    def __init__(self, shared: Shared, known: Known, say: Callable[[str], None]) -> None:
        self._shared, self._known, self._say = shared, known, say

    def requeue_orphans(self) -> None:
        """Requeues, at the start of a search, the trials that the last one left running."""
        study, run = self._shared.study, self._shared.run
        recorded = []
        for trial in study.running():
            host = host_of(trial.worker)
            # Only the heartbeat in a database tells whether a worker on another machine is alive.
            if host and study.has_heartbeat and host != machine_name():
                continue
            if not self._is_free(trial, supervisor_lives=False):
                continue
            if run.trial(trial.number).record_path.exists():
                recorded.append(trial)
            else:
                study.put_back(trial)
        self.end(recorded, DIED)

    def end_abandoned(self) -> list[TrialRecord]:
        """Ends or requeues the running trials that no living worker has; returns all records."""
        study = self._shared.study
        if study.has_heartbeat:
            stale = {trial.number for trial in study.stale()}
            dead = [t for t in study.running() if not t.worker or t.number in stale]
        else:
            supervisor_lives = self._shared.run.is_locked()
            dead = [t for t in study.running() if self._is_free(t, supervisor_lives)]
        return self.end(dead, DIED)

    def end(self, dead: list[StudyTrial], reason: str) -> list[TrialRecord]:
        """Ends or requeues the running trials of dead workers; returns all records."""
        numbers = [trial.number for trial in dead]
        records = self._known.candidates([*self._shared.study.finished(), *numbers])
        for trial in dead:
            record = next((r for r in records if r.subject.trial == trial.number), None)
            if record is None or record.outcome.state == KILLED:
                notice = self._bury(trial, reason)
                log.info(notice)
                self._say(notice)
            else:  # recorded, but the study was not told
                with suppress(GivenAway):  # unless it was told in between
                    tell_ending(self._shared, trial, record)
        return self._known.candidates(numbers)

    def give_up(self, dead: list[StudyTrial], reason: str) -> list[TrialRecord]:
        """As `end`; returns the records of those trials that are not tried again."""
        numbers = {trial.number for trial in dead}
        return [
            record
            for record in self.end(dead, reason)
            if record.subject.trial in numbers and record.outcome.state == KILLED and record.counts
        ]

    def _is_free(self, trial: StudyTrial, supervisor_lives: bool) -> bool:
        """Whether the trial has no worker, or one that is dead."""
        folder = self._shared.run.workers_path
        return not trial.worker or is_dead(folder, trial.worker, supervisor_lives)

    def _bury(self, trial: StudyTrial, reason: str) -> str:
        """Records a trial as killed and queues a retry of a first attempt; returns a notice."""
        study, run = self._shared.study, self._shared.run
        if not trial.worker:  # it was not started
            study.put_back(trial)
            return f"trial {trial.number}: {reason} at its start; it is started over"
        entry = run.trial(trial.number)
        killed = _killed(self._shared, trial, reason)
        if not entry.record_path.exists():
            entry.write(killed)
        entry.weights.unlink(missing_ok=True)
        study.note_outcome(trial, killed)
        retry = study.try_again(trial)
        if retry is None:
            return f"trial {trial.number}: {reason} a second time; it is given up"
        if entry.checkpoint.exists():
            os.replace(entry.checkpoint, run.trial(retry).checkpoint)
        return f"trial {trial.number}: {reason}; it is tried again as trial {retry}"


def tell_ending(shared: Shared, trial: StudyTrial, record: TrialRecord) -> None:
    """Tells the study how a trial ended."""
    study, limits = shared.study, shared.request.space.limits
    subject, outcome = record.subject, record.outcome
    constraints = {}
    if outcome.state == IMPOSSIBLE:
        constraints = {"impossible": 1.0}
    elif outcome.state == OVER_BUDGET and subject.architecture:
        constraints = dict(excess(limits, subject.architecture))
        slow = latency_excess(limits, outcome.latency_ms) if outcome.latency_ms else None
        if slow:
            constraints[MAX_LATENCY] = slow
    study.report(trial, outcome.curve)
    study.note_outcome(trial, record)
    objectives = shared.request.objectives
    found = values(record, objectives)
    study.tell(trial, outcome.state, found, constraints, outcome.duplicate_of)


def original(
    records: list[TrialRecord], network: str, tried_again: int | None
) -> TrialRecord | None:
    """The record of the first trained trial with this network, if there is one.

    `tried_again` is the number of the killed trial that the caller retries, which does not count.
    """
    same = [
        record
        for record in records
        if record.subject.name == network
        and record.outcome.state not in UNTRAINED
        and record.subject.trial != tried_again
    ]
    # Of a killed trial and its retry, the retry has the figures.
    return min(same, key=lambda record: (not record.counts, record.subject.trial), default=None)


def _killed(shared: Shared, trial: StudyTrial, reason: str) -> TrialRecord:
    """The record of a trial whose worker died, without a network if none was sampled yet."""
    architecture = trial.architecture
    subject = Subject(
        kind=CANDIDATE,
        trial=trial.number,
        name=architecture.identity if architecture else trial.network,
        seed=trial_seed(shared.request, trial),
        architecture=architecture,
        retry_of=trial.retry_of,
    )
    outcome = Outcome(
        KILLED,
        reason,
        parameters=architecture.parameters if architecture else None,
        macs=architecture.macs if architecture else None,
    )
    # The environment of the dead worker is unknown.
    return shared.config.record(subject, outcome, {}, 0.0)
