"""The study of a run in its journal: opened, or made again from the records if it is damaged."""

from __future__ import annotations

from collections.abc import Callable

from .._text import counted
from ..errors import InputError
from ..records import KILLED, TrialRecord
from ..results.config import RunConfig
from ..results.run import Run
from ..study.journal import StudyDamaged
from ..study.locks import sampling_lock
from ..study.rebuilding import RebuiltStudy, contradiction
from ..study.shared import SharedStudy
from .recovery import Shared, tell_ending

MAX_GAP = 10_000  # trials without a record, beyond as many as have one


def open_or_rebuild(
    config: RunConfig, run: Run, create: bool, say: Callable[[str], None]
) -> SharedStudy:
    """Opens the study in a run's journal, for the process that holds the run's lock.

    If it is damaged, lost, or contradicts the records, it is made again from these; `say` is told.
    With `create` it may be missing. Raises InputError if it cannot be used.
    """
    journal, request = run.study_path, config.request
    with sampling_lock(run.path, journal):
        records = [record for record in run.records() if not record.subject.is_baseline]
        try:
            study = SharedStudy.open(config, run.path, journal, create)
            why = contradiction(study, records, request.space, request.objectives)
        except StudyDamaged as error:
            why = str(error)
        if why:
            say(_rebuild(config, run, records, why))
            study = SharedStudy.open(config, run.path, journal)
    if study.skipped_lines:
        say(f"{journal}: skipped, as not Optuna's: {counted(study.skipped_lines, 'line')}")
    return study


def _rebuild(config: RunConfig, run: Run, records: list[TrialRecord], why: str) -> str:
    """Makes the study again, puts it in the journal's place, and returns a notice."""
    known = {record.subject.trial or 0: record for record in records}
    last = max(known, default=-1)
    if last > 2 * len(known) + MAX_GAP:
        raise InputError(
            f"{run.trial(last).record_path}: is about trial {last}, but there are only "
            f"{counted(len(known), 'record')}: it is none of this run, so move it away"
        )
    study = RebuiltStudy(config)
    _refill(study, Shared(config, run, study), known, last)
    waiting = study.size - len(known)
    aside = study.replace(run.study_path)
    place = str(run.study_path)
    kept = f"; the damaged journal is kept as {aside}" if aside else ""
    return (
        f"{why if why.startswith(place) else f'{place}: {why}'}; the study is made again from "
        f"{counted(len(known), 'record')}, and {counted(waiting, 'trial')} without one will "
        f"begin anew{kept}"
    )


def _refill(study: RebuiltStudy, shared: Shared, known: dict[int, TrialRecord], last: int) -> None:
    """Gives each trial the number that it had."""
    first = shared.request.first_points
    begun = [n for n in shared.run.checkpoint_numbers() if n <= last + MAX_GAP]
    retried = {record.subject.retry_of for record in known.values()}
    unretried: list[int] = []
    for number in range(max(last, *begun, len(first) - 1) + 1):
        record = known.get(number)
        if record:
            tell_ending(shared, study.add(record), record)
            if record.outcome.state == KILLED and not record.counts and number not in retried:
                unretried.append(number)
        elif number < len(first):
            study.add_waiting(first[number])
        elif unretried:
            study.try_again(study.trial(unretried.pop(0)))
        else:
            study.add_waiting()
    for number in unretried:
        study.try_again(study.trial(number))
