"""The choice of a worker's next trial, and the outcomes that need no training.

A worker asks the study, samples and compares while it holds the run's sampling lock. Therefore the
number of trials is exact with any number of workers, and no two workers train the same network.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, SearchFailed, TimeUp
from ..records import (
    CANDIDATE,
    DUPLICATE,
    FAILED,
    IMPOSSIBLE,
    KILLED,
    OVER_BUDGET,
    UNTRAINED,
    Outcome,
    Subject,
    TrialRecord,
)
from ..results.known import Known
from ..study.trial import StudyTrial
from .drawing import Source
from .recovery import Recovery, Shared, original, trial_seed

# After this many samples in a row with nothing to train, there is little or nothing left to find.
MAX_FRUITLESS = 200
# If this many candidates in a row fail with the same message, the cause is not the candidates.
MAX_SAME_FAULT = 3
MAX_PAUSE = 1.0  # seconds before an idle worker checks again


@dataclass(frozen=True)
class Task:
    """A trial that a worker has taken, with its outcome if it needs no training."""

    trial: StudyTrial
    subject: Subject
    outcome: Outcome | None = None


NOTHING_YET: Any = object()  # others may leave something


def poll(lock: AbstractContextManager[Any], deadline: float, take: Callable[[], Any]) -> Any:
    """What `take`, called under the lock again and again, first returns but for NOTHING_YET.

    Raises TimeUp at `deadline`, a time.monotonic() value.
    """
    pause = 0.1
    while True:
        if time.monotonic() > deadline:
            raise TimeUp
        with lock:
            found = take()
        if found is not NOTHING_YET:
            return found
        time.sleep(pause)
        pause = min(2 * pause, MAX_PAUSE)


class Scheduler:
    """A worker's access to the trials of its run."""

    def __init__(
        self,
        shared: Shared,
        worker: str,
        source: Source,
        known: Known,
        say: Callable[[str], None],
    ) -> None:
        """`worker` is the name of this process; `source` draws the candidates."""
        self._shared, self._request, self._study = shared, shared.request, shared.study
        self._worker, self._source, self._say = worker, source, say
        self._recovery = Recovery(shared, known, say)

    def next_task(self, deadline: float) -> Task | None:
        """The worker's next task; None if there are no more. Waits while others may leave one.

        Raises TimeUp at `deadline`, a time.monotonic() value, and SearchFailed if the last
        candidates all failed with the same error.
        """
        # Running trials may not count in the end, or their workers may die.
        task: Task | None = poll(self._study.lock, deadline, self._take)
        return task

    def _take(self) -> Task | None:
        # Read before the records, so that a trial that ends in between counts twice, not never.
        busy = self._study.running()
        records = self._recovery.end_abandoned()
        counted = [record for record in records if record.counts]
        if len(counted) >= self._request.trials:
            return None
        fault = _common_fault([r for r in counted if r.finished >= self._shared.since])
        if fault:
            raise SearchFailed(fault)
        end = "" if self._study.has_waiting() else self._exhausted(records, busy)
        if end and not busy:
            self._say(end)
            return None
        if end or len(counted) + len(busy) >= self._request.trials:
            return NOTHING_YET
        trial = self._study.ask(self._worker)
        try:
            task = self._settle(trial, records, busy)
            if task.outcome is None and task.subject.architecture:
                self._study.note_architecture(trial, task.subject.architecture)
        except BaseException:
            self._study.put_back(trial)
            raise
        return task

    def _settle(
        self, trial: StudyTrial, records: list[TrialRecord], busy: list[StudyTrial]
    ) -> Task:
        """Samples a trial's network; the outcome is set already if it needs no training."""
        seed = trial_seed(self._request, trial)
        try:
            drawn = self._source.draw(trial)
        except InputError as error:
            subject = Subject(CANDIDATE, trial.number, "", seed, retry_of=trial.retry_of)
            return Task(trial, subject, Outcome(IMPOSSIBLE, str(error)))
        subject = Subject(
            CANDIDATE, trial.number, drawn.name, seed, drawn.architecture, trial.retry_of
        )
        parameters, macs = drawn.parameters, drawn.macs
        others = [t for t in busy if t.number not in (trial.number, trial.retry_of)]
        first = _first_to_train(drawn.name, records, others, trial.retry_of)
        if first is not None:
            reason = f"the same network as trial {first}"
            outcome = Outcome(
                DUPLICATE, reason, parameters=parameters, macs=macs, duplicate_of=first
            )
            return Task(trial, subject, outcome)
        if drawn.broken:
            reason = "; ".join(drawn.broken)
            outcome = Outcome(OVER_BUDGET, reason, parameters=parameters, macs=macs)
            return Task(trial, subject, outcome)
        return Task(trial, subject)

    def _exhausted(self, records: list[TrialRecord], busy: list[StudyTrial]) -> str:
        """Why there is no candidate left to train; empty if there may be one."""
        name, size = self._request.space.name, self._source.size
        tried = {record.subject.name for record in records} | {trial.network for trial in busy}
        if len(tried - {""}) >= size:
            return f"space {name} is exhausted: all {size} architectures were tried"
        last = records[-MAX_FRUITLESS:]
        if len(last) == MAX_FRUITLESS and all(record.outcome.state in UNTRAINED for record in last):
            counts = Counter(record.outcome.state for record in last)
            ends = ", ".join(f"{number} {state}" for state, number in counts.items())
            return f"space {name}: the last {MAX_FRUITLESS} samples gave nothing to train ({ends})"
        return ""


def _first_to_train(
    network: str, records: list[TrialRecord], busy: list[StudyTrial], tried_again: int | None
) -> int | None:
    """The number of the trial that trains or has trained this network, if there is one."""
    record = original(records, network, tried_again)
    if record:
        return record.subject.trial
    return next((trial.number for trial in busy if trial.network == network), None)


def _common_fault(records: list[TrialRecord]) -> str:
    """The error with which the last of these all failed; empty if they did not."""
    last = sorted(records, key=lambda record: record.finished)[-MAX_SAME_FAULT:]
    outcomes = [record.outcome for record in last]
    faults = {outcome.reason for outcome in outcomes if outcome.state in (FAILED, KILLED)}
    states = {outcome.state for outcome in outcomes}
    if len(last) == MAX_SAME_FAULT and len(states) == len(faults) == 1:
        return f"the last {MAX_SAME_FAULT} candidates all ended as {states.pop()}: {faults.pop()}"
    return ""
