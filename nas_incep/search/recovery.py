"""What becomes of trials whose worker is gone: gone on with, or recorded as killed and tried again.

All of it happens under the sampling lock, and each step can be done over after a crash.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from optuna.study import Study
from optuna.trial import FixedTrial, FrozenTrial, Trial

from ..recipe import derive_seed
from ..records import (
    BASELINE,
    CANDIDATE,
    DUPLICATE,
    IMPOSSIBLE,
    KILLED,
    OVER_BUDGET,
    UNTRAINED,
    Outcome,
    Subject,
    TrialRecord,
)
from ..results.config import RunConfig, SearchRequest
from ..results.objectives import values
from ..results.run import Candidates, Run
from ..spaces.space import MAX_LATENCY, excess, latency_excess
from ..study.heartbeat import has_heartbeat
from ..study.pruners import origin
from ..study.samplers import DUPLICATE_OF
from ..study.study import (
    WORKER,
    finished,
    put_back,
    reattach,
    report,
    retry_of,
    running,
    set_constraints,
    tell,
    try_again,
)
from .liveness import is_dead

DIED = "its worker died"


@dataclass(frozen=True)
class Shared:
    """What all workers of a run share."""

    config: RunConfig
    run: Run
    study: Study

    @property
    def request(self) -> SearchRequest:
        return self.config.request

    @property
    def since(self) -> str:
        """When the search that they work for was called, as a record's `finished`."""
        return self.config.called or ""


def trial_seed(request: SearchRequest, trial: FrozenTrial) -> int:
    """A second try has the seed of the first: it goes on to the same figures."""
    return derive_seed(request.seed, "trial", origin(trial))


def baseline_subject(request: SearchRequest, name: str) -> Subject:
    return Subject(BASELINE, None, name, derive_seed(request.seed, "baseline", name))


def see_to_orphans(shared: Shared, candidates: Candidates, say: Callable[[str], None]) -> None:
    """At the start of a search: what the last one left in flight is to be gone on with first."""
    everywhere = not has_heartbeat(shared.study._storage)
    recorded = []
    for trial in running(shared.study):
        name = trial.user_attrs.get(WORKER, "")
        # Of a worker on another machine only a database can tell, by its heartbeat.
        if name and not everywhere and name.rsplit("-", 2)[0] != platform.node():
            continue
        if not _is_free(trial, shared.run.workers_path, supervisor_lives=False):
            continue
        if shared.run.trial(trial.number).record_path.exists():
            recorded.append(trial)
        else:
            put_back(shared.study, trial)
    end_dead(shared, recorded, candidates, DIED, say)


def see_to_the_dead(
    shared: Shared, candidates: Candidates, say: Callable[[str], None]
) -> list[TrialRecord]:
    """Ends, or queues again, what dead workers left; all records."""
    return end_dead(shared, _dead(shared), candidates, DIED, say)


def end_dead(
    shared: Shared,
    dead: list[FrozenTrial],
    candidates: Candidates,
    reason: str,
    say: Callable[[str], None],
) -> list[TrialRecord]:
    """Ends, or queues again, running trials whose workers died; all records."""
    numbers = [trial.number for trial in dead]
    records = candidates.refresh([*finished(shared.study), *numbers])
    for trial in dead:
        record = next((r for r in records if r.subject.trial == trial.number), None)
        if record is None or record.outcome.state == KILLED:
            say(_bury(shared, trial, reason))
        else:  # it was recorded, and only the telling is missing
            tell_ending(shared, reattach(shared.study, trial), record, records)
    return candidates.refresh(numbers)


def _dead(shared: Shared) -> list[FrozenTrial]:
    """The running trials that nobody has."""
    study, storage = shared.study, cast(Any, shared.study._storage)
    if has_heartbeat(storage):
        stale = storage._get_stale_trial_ids(study._study_id)
        return [t for t in running(study) if not t.user_attrs.get(WORKER) or t._trial_id in stale]
    folder, supervisor_lives = shared.run.workers_path, shared.run.is_locked()
    return [t for t in running(study) if _is_free(t, folder, supervisor_lives)]


def _is_free(trial: FrozenTrial, folder: Path, supervisor_lives: bool) -> bool:
    """Whether the worker is dead, or died before it could say its name, or let go of the trial."""
    name = trial.user_attrs.get(WORKER)
    return not name or is_dead(folder, name, supervisor_lives)


def _bury(shared: Shared, trial: FrozenTrial, reason: str) -> str:
    """Records a trial as killed and queues its second try, if it was the first; says so."""
    run = shared.run
    if not trial.user_attrs.get(WORKER):  # nothing of it was begun
        put_back(shared.study, trial)
        return f"trial {trial.number}: {reason} while it began; it is begun anew"
    entry = run.trial(trial.number)
    if not entry.record_path.exists():
        entry.write(_record(shared, trial, reason))
    entry.weights.unlink(missing_ok=True)
    retry = try_again(shared.study, trial)
    if retry is None:
        return f"trial {trial.number}: {reason} a second time; it is given up"
    if entry.checkpoint.exists():
        os.replace(entry.checkpoint, run.trial(retry).checkpoint)
    return f"trial {trial.number}: {reason}; it is tried again as trial {retry}"


def tell_ending(
    shared: Shared, trial: Trial, record: TrialRecord, records: list[TrialRecord]
) -> None:
    """Tells the study how a trial ended. A repetition is worth what its original was."""
    study, limits = shared.study, shared.request.space.limits
    scored, subject, outcome = record, record.subject, record.outcome
    if outcome.state == DUPLICATE:
        scored = original(records, subject.name, None) or record
        trial.set_user_attr(DUPLICATE_OF, scored.subject.trial)
    elif outcome.state == IMPOSSIBLE:
        set_constraints(study, trial, {"impossible": 1.0})
    elif outcome.state == OVER_BUDGET and subject.architecture:
        broken = excess(limits, subject.architecture)
        slow = latency_excess(limits, outcome.latency_ms) if outcome.latency_ms else None
        set_constraints(study, trial, {**broken, **({MAX_LATENCY: slow} if slow else {})})
    report(study, trial, {point.epoch: point.val_accuracy for point in outcome.curve})
    tell(study, trial, record, values(scored, shared.request.objectives))


def original(
    records: list[TrialRecord], network: str, tried_again: int | None
) -> TrialRecord | None:
    """The record of the trial that first met this network, if any was trained.

    `tried_again` is the number of a killed trial whose second try is asking.
    """
    same = [
        record
        for record in records
        if record.subject.name == network
        and record.outcome.state not in UNTRAINED
        and record.subject.trial != tried_again
    ]
    # Of a killed trial and its second try, the latter has the figures.
    return min(same, key=lambda record: (not record.counts, record.subject.trial), default=None)


def _record(shared: Shared, trial: FrozenTrial, reason: str) -> TrialRecord:
    request, data = shared.request, shared.config.data
    try:
        architecture = request.space.sample(
            FixedTrial(trial.params), len(data.classes), data.image_shape
        )
    except ValueError:  # it had not drawn all of its parameters
        architecture = None
    subject = Subject(
        kind=CANDIDATE,
        trial=trial.number,
        name=architecture.identity if architecture else "",
        seed=trial_seed(request, trial),
        architecture=architecture,
        retry_of=retry_of(trial),
    )
    outcome = Outcome(
        KILLED,
        reason,
        parameters=architecture.parameters if architecture else None,
        macs=architecture.macs if architecture else None,
    )
    # The environment is the dead worker's, which nobody knows any more.
    return shared.config.record(subject, outcome, {}, 0.0)
