"""Trainings with fresh seeds, after the search: who does which, and what dead workers leave.

A worker claims a training by a file beside its record, under the lock under which it takes trials.
So no training is done twice, and one whose worker died is done again, once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._files import read_json, write_json
from .._formats import Natural, read
from .._machine import machine_name
from ..errors import InputError
from ..records import FIDELITY, KILLED, Outcome, Subject
from ..results import leaderboard
from ..results.fidelity import trainings
from ..results.known import Known
from ..results.paths import Entry
from ..results.ranking import race_of
from ..results.run import RANKING
from .liveness import host_of, is_dead
from .recovery import DIED, Shared
from .scheduler import NOTHING_YET, poll

MAX_DEATHS = 2  # after that many dead workers a training is given up
# A heartbeat may be late by as much as one interval.
MISSED = 2


@dataclass(frozen=True)
class Claim:
    """Who trains, and how many have died of it."""

    worker: str
    deaths: Natural = 0


class Reruns:
    """A worker's access to the trainings with fresh seeds that its run wants."""

    def __init__(
        self, shared: Shared, worker: str, known: Known, say: Callable[[str], None]
    ) -> None:
        """`worker` is the name of this process."""
        self._shared, self._worker, self._say = shared, worker, say
        self._run, self._lock = shared.run, shared.study.lock
        self._known = known
        self._announced: set[str] = set()

    def next(self, deadline: float) -> Subject | None:
        """The worker's next training; None if there are no more. Waits while others may leave one.

        A baseline is trained again even while another worker still trains it for the first time:
        the race of the candidates does not depend on it.

        Raises TimeUp at `deadline`, a time.monotonic() value.
        """
        request = self._shared.request
        if not request.finals.share and not request.fidelity:
            return None
        subject: Subject | None = poll(self._lock, deadline, self._next)
        return subject

    def _next(self) -> Any:
        """A claimed training; None if none is wanted, NOTHING_YET if others train all of them."""
        wanted = self._wanted()
        if not wanted:
            return None
        return next((subject for subject in wanted if self._take(subject)), NOTHING_YET)

    def _wanted(self) -> list[Subject]:
        request = self._shared.request
        ranked = leaderboard.rank(self._known.records(), request.objectives)
        state = race_of(request, ranked, self._known.reruns(*RANKING))
        specs = {request.baseline(spec).name for spec in request.baselines}
        # Of a baseline that an earlier call named, the folder may be unknown.
        finals = [s for s in state.wanted if not s.is_baseline or s.name in specs]
        if finals:
            names = ", ".join(record.subject.label for record in state.contenders)
            self._announce(f"finals: {names} are trained again with fresh seeds")
            return finals
        if not request.fidelity:
            return []
        longer = self._known.reruns(FIDELITY)
        wanted = trainings(request.fidelity, request.seed, ranked, longer, state.winner)
        if wanted:
            networks = len({subject.name for subject in wanted})
            times = request.fidelity.times
            self._announce(f"fidelity: {networks} networks are trained {times} times as long")
        return wanted

    def _announce(self, text: str) -> None:
        """Says what the next trainings are for, once."""
        stage = text.partition(":")[0]
        if stage not in self._announced:
            self._announced.add(stage)
            self._say(text)

    def _take(self, subject: Subject) -> bool:
        """Claims a training unless a living worker has it, or it has killed its workers."""
        entry = self._run.entry(subject)
        claim = _claim_of(entry)
        deaths = 0
        # The listing of a network file system may be outdated, so look by name.
        if claim is None and entry.record_path.exists():
            return False
        if claim:
            if not self._is_abandoned(entry, claim):
                return False
            deaths = claim.deaths + 1
            again = deaths < MAX_DEATHS
            self._say(f"{subject.label}: {DIED}; it is {'tried again' if again else 'given up'}")
            if not again:
                record = self._shared.config.record(subject, Outcome(KILLED, DIED), {}, 0.0)
                entry.write(record)
                entry.claim.unlink()
                return False
        write_json(entry.claim, vars(Claim(self._worker, deaths)))
        return True

    def _is_abandoned(self, entry: Entry, claim: Claim) -> bool:
        study, host = self._shared.study, host_of(claim.worker)
        # The kernel's locks tell nothing about workers on other machines.
        if study.has_heartbeat and host != machine_name():
            silent = _time_in(entry.folder) - entry.claim.stat().st_mtime
            return silent > MISSED * self._shared.config.study.heartbeat
        return is_dead(self._run.workers_path, claim.worker, self._run.is_locked())

    def owns(self, subject: Subject) -> bool:
        """Whether the training is still this worker's; the caller holds the sampling lock."""
        claim = _claim_of(self._run.entry(subject))
        return claim is not None and claim.worker == self._worker

    def release(self, subject: Subject) -> None:
        """Ends this worker's claim, if it still has it."""
        with self._lock:
            if self.owns(subject):
                self._run.entry(subject).claim.unlink(missing_ok=True)

    @contextmanager
    def kept_alive(self, subject: Subject) -> Iterator[None]:
        """Shows to other machines, while the block runs, that this worker lives."""
        if not self._shared.study.has_heartbeat:
            yield
            return
        ended, claim = threading.Event(), self._run.entry(subject).claim

        def beat() -> None:
            while not ended.wait(self._shared.config.study.heartbeat):
                with suppress(OSError):
                    os.utime(claim)

        thread = threading.Thread(target=beat, name="claim", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=5)


def release_orphans(shared: Shared) -> None:
    """Ends, at the start of a search, the claims that the last one left: it was stopped as a whole.

    That tells nothing about the networks. The caller holds the sampling lock.
    """
    study, run = shared.study, shared.run
    for path in run.path.glob("*/*.claim"):
        claim = _read_claim(path)
        elsewhere = host_of(claim.worker) != machine_name()
        if study.has_heartbeat and claim.worker and elsewhere:
            continue
        if is_dead(run.workers_path, claim.worker, supervisor_lives=False):
            path.unlink(missing_ok=True)


def _claim_of(entry: Entry) -> Claim | None:
    """Who claims a training, if anybody does."""
    return _read_claim(entry.claim) if entry.claim.exists() else None


def _read_claim(path: Path) -> Claim:
    """A claim from its file; a damaged one is nobody's."""
    try:
        return read(read_json(path, regular=True), Claim, str(path))
    except InputError:
        return Claim("")


def _time_in(folder: Path) -> float:
    """The time as the file system sees it, which other machines share."""
    path = folder / f".{os.getpid()}.tmp"
    path.touch()
    try:
        return path.stat().st_mtime
    finally:
        path.unlink(missing_ok=True)
