"""How a worker comes by its next trial, and what of it is settled before any training.

A worker asks the study, samples and compares while it holds the run's sampling lock. So the number
of trials is exact with any number of workers, and no network is trained by two of them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial, Trial

from ..datasets import DatasetInfo
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
from ..results.run import Candidates
from ..spaces.space import SearchSpace, over_limits
from ..study.heartbeat import ask
from ..study.study import NETWORK, WORKER, frozen, put_back, retry_of, running, waiting
from .recovery import Shared, original, see_to_the_dead, trial_seed

# So many samples in a row without one to train mean that there is none, or hardly one, left.
MAX_FRUITLESS = 200
# A fault that hits so many candidates in a row in the same words is not the candidates'.
MAX_SAME_FAULT = 3
MAX_PAUSE = 1.0  # seconds before a worker that has nothing to do looks again


@dataclass(frozen=True)
class Task:
    """A trial that a worker has taken; with its outcome, if it need not be trained."""

    trial: Trial
    subject: Subject
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Source:
    """A worker's access to the trials of its run."""

    shared: Shared
    lock: AbstractContextManager[Any]
    worker: str
    info: DatasetInfo
    candidates: Candidates
    say: Callable[[str], None]


def next_task(source: Source, deadline: float) -> Task | None:
    """The worker's next task; None when there is none to come. Raises TimeUp at the deadline."""
    pause = 0.1
    while True:
        if time.monotonic() > deadline:
            raise TimeUp
        with source.lock:
            task = _take(source)
        if task is not _NOTHING_YET:
            return task
        # What the others are at may turn out to be repetitions, or their workers may die.
        time.sleep(pause)
        pause = min(2 * pause, MAX_PAUSE)


_NOTHING_YET: Any = object()


def _take(source: Source) -> Task | None:
    request, study = source.shared.request, source.shared.study
    # Before the records: what ends in between is then counted twice for now, and not left out.
    busy = running(study)
    records = see_to_the_dead(source.shared, source.candidates, source.say)
    counted = [record for record in records if record.counts]
    if len(counted) >= request.trials:
        return None
    fault = _common_fault([r for r in counted if r.finished >= source.shared.since])
    if fault:
        raise SearchFailed(fault)
    end = "" if waiting(study) else _exhausted(request.space, records, busy)
    if end and not busy:
        source.say(end)
        return None
    if end or len(counted) + len(busy) >= request.trials:
        return _NOTHING_YET
    trial = ask(study)
    try:
        # From now on its fate is bound to this worker's.
        trial.set_user_attr(WORKER, source.worker)
        task = _settle(source, trial, records, busy)
        if task.outcome is None:
            trial.set_user_attr(NETWORK, task.subject.name)
    except BaseException:
        put_back(study, frozen(study, trial))
        raise
    return task


def _settle(
    source: Source, trial: Trial, records: list[TrialRecord], busy: list[FrozenTrial]
) -> Task:
    """What is to be done for a trial: most are trained, some need not be."""
    request, info = source.shared.request, source.info
    stored = frozen(source.shared.study, trial)
    seed, tried_again = trial_seed(request, stored), retry_of(stored)
    try:
        architecture = request.space.sample(trial, len(info.classes), info.image_shape)
    except InputError as error:
        subject = Subject(CANDIDATE, trial.number, "", seed, retry_of=tried_again)
        return Task(trial, subject, Outcome(IMPOSSIBLE, str(error)))
    subject = Subject(
        CANDIDATE, trial.number, architecture.identity, seed, architecture, tried_again
    )
    costs = architecture.parameters, architecture.macs
    others = [t for t in busy if t.number not in (trial.number, tried_again)]
    first = _first_to_train(architecture.identity, records, others, tried_again)
    if first is not None:
        reason = f"the same network as trial {first}"
        return Task(trial, subject, Outcome(DUPLICATE, reason, (), *costs))
    broken = over_limits(request.space.limits, architecture)
    if broken:
        return Task(trial, subject, Outcome(OVER_BUDGET, "; ".join(broken), (), *costs))
    return Task(trial, subject)


def _first_to_train(
    network: str, records: list[TrialRecord], busy: list[FrozenTrial], tried_again: int | None
) -> int | None:
    """The number of the trial that trains this network or has trained it."""
    record = original(records, network, tried_again)
    if record:
        return record.subject.trial
    return next((t.number for t in busy if t.user_attrs.get(NETWORK) == network), None)


def _exhausted(space: SearchSpace, records: list[TrialRecord], busy: list[FrozenTrial]) -> str:
    """Why there is no candidate left to train; empty while there may be one."""
    tried = {record.subject.name for record in records} | {t.user_attrs.get(NETWORK) for t in busy}
    if len(tried - {"", None}) >= space.size():
        return f"space {space.name} is exhausted: all {space.size()} architectures were tried"
    last = records[-MAX_FRUITLESS:]
    if len(last) == MAX_FRUITLESS and all(record.outcome.state in UNTRAINED for record in last):
        counts = Counter(record.outcome.state for record in last)
        ends = ", ".join(f"{count} {state}" for state, count in counts.items())
        return (
            f"space {space.name}: the last {MAX_FRUITLESS} samples gave nothing to train ({ends})"
        )
    return ""


def _common_fault(records: list[TrialRecord]) -> str:
    """The error in which the last of these all failed; empty if they did not."""
    last = sorted(records, key=lambda record: record.finished)[-MAX_SAME_FAULT:]
    outcomes = [record.outcome for record in last]
    faults = {outcome.reason for outcome in outcomes if outcome.state in (FAILED, KILLED)}
    states = {outcome.state for outcome in outcomes}
    if len(last) == MAX_SAME_FAULT and len(states) == len(faults) == 1:
        return f"the last {MAX_SAME_FAULT} candidates all ended as {states.pop()}: {faults.pop()}"
    return ""
