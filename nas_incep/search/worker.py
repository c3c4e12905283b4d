"""One worker: takes a trial, trains it, writes its record and tells the study, until all are done.

A worker may stop at any moment, because it first writes the weights, then the record, and then
tells the study. A trial with a record is never trained again; one without resumes after the last
whole epoch of its checkpoint. Any number of workers may share a run: each takes its next trial
while it holds the sampling lock. Therefore the number of trials is exact, no network is trained
twice, and a stale trial is requeued once.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import shutil
import time
from dataclasses import dataclass

from .._logs import log_file
from .._machine import versions
from ..datasets import Dataset
from ..engines.base import Engine
from ..errors import DeviceLost, GivenAway, ProcessSpent, TimeUp
from ..records import (
    COMPLETE,
    DIVERGED,
    OUT_OF_MEMORY,
    Outcome,
    Subject,
    TrialRecord,
)
from ..results.config import DataFacts
from ..results.known import Known
from ..study.trial import StudyTrial
from .display import Display
from .drawing import Source, SpaceSource
from .in_training import GIVEN_AWAY, note_end
from .liveness import new_name, present
from .pruned_weights import drop_losers
from .recovery import Recovery, Shared, tell_ending
from .reruns import Reruns
from .scheduler import Scheduler, Task
from .surroundings import other_environment
from .trainer import Trainer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Post:
    """The device, baselines and time limit of one worker."""

    device: str = "auto"
    baselines: tuple[str, ...] = ()  # to train first, as the search has checked them
    deadline: float = math.inf  # a time.monotonic() value
    supervised_as: str = ""  # its name, if it has a supervisor


class Worker:
    """A process that works on a run; it uses an engine through its interface only."""

    def __init__(
        self,
        shared: Shared,
        engine: Engine,
        display: Display,
        post: Post,
        dataset: Dataset | None = None,
        source: Source | None = None,
    ) -> None:
        """Raises InputError if the device, the precision or the data are unavailable.

        `dataset` is loaded from the run's configuration unless it is given; candidates come from
        the run's space unless another `source` is.
        """
        self.request, self.run, self.study = shared.request, shared.run, shared.study
        self.shared, self.engine, self.display, self.post = shared, engine, display, post
        self.device = engine.resolve(post.device)
        if dataset is None:
            dataset = self.request.load_data()
            loaded = dataclasses.replace(shared.config, data=DataFacts.of(dataset))
            self.run.check_same(shared.config, loaded)
        self.dataset = dataset
        self.source = source or SpaceSource(self.request.space, dataset.info)
        self.environment = {
            "device": self.device,
            "threads": engine.threads(),
            "versions": versions(),
        }
        self.trainer = Trainer(shared, engine, display, dataset, self.device, post.deadline)
        self.name = post.supervised_as or new_name()
        self.known = Known(self.run)

    def work(self) -> None:
        """Trains the baselines, then candidates until no work is left.

        Raises InputError or SearchFailed if the search cannot go on, ProcessSpent if this process
        cannot, TimeUp at the deadline.
        """
        with log_file(self.run.logs_path, self.name, self.run.workers_path):
            self._work()

    def _work(self) -> None:
        log.info("worker %s: %s", self.name, self.environment)
        for notice in other_environment(self.run.records(), self.environment):
            self.display.say(notice)
        scheduler = Scheduler(self.shared, self.name, self.source, self.known, self.display.say)
        supervised = bool(self.post.supervised_as)
        with present(self.run.workers_path, self.name, supervised, self.study.lock):
            for spec in self.post.baselines:
                self._train_baseline(spec)
            while True:
                task = scheduler.next_task(self.post.deadline)
                if task is None:
                    break
                self._see_through(task)
            reruns = Reruns(self.shared, self.name, self.known, self.display.say)
            while subject := reruns.next(self.post.deadline):
                self._train_again(reruns, subject)

    def _train_baseline(self, spec: str) -> None:
        entry = self.run.entry(subject := self.request.baseline(spec))
        # One that ran out of time or memory is retried: this call may grant more.
        if entry.record_path.exists() and entry.read().outcome.state in (COMPLETE, DIVERGED):
            return
        started = time.perf_counter()
        record = self._keep(subject, self.trainer.train(subject), started)
        self.study.describe(self.shared.config, [record])
        self._end(record)

    def _train_again(self, reruns: Reruns, subject: Subject) -> None:
        """Trains a network with a fresh seed and writes its record."""
        started = time.perf_counter()
        record, lost = None, False
        try:
            with reruns.kept_alive(subject):
                outcome = self.trainer.train(subject)
                with self.study.lock:
                    if reruns.owns(subject):
                        record = self._keep(subject, outcome, started)
        except DeviceLost:
            lost = True
            raise
        finally:
            if record is None:
                note_end(subject.label, GIVEN_AWAY)
                self.display.leave(subject.label)
            if not lost:  # else the claim counts as a dead worker's, so that there is an end to it
                reruns.release(subject)
        if record:
            self._end(record)

    def _see_through(self, task: Task) -> None:
        """Trains a task if it needs training, writes its record and tells the study."""
        trial, label = task.trial, task.subject.label
        started = time.perf_counter()
        try:
            with self.study.keep_alive(trial):
                outcome = task.outcome or self.trainer.train(task.subject, trial)
                # Under the lock no other worker can take this trial for stale.
                with self.study.lock:
                    self._check_ownership(trial)
                    record = self._keep(task.subject, outcome, started)
                    records = self.known.candidates([*self.study.finished(), trial.number])
                    tell_ending(self.shared, trial, record)
        except BaseException as error:
            self.display.leave(label)
            if self.study.is_unreachable(error):
                raise
            if not self._give_back(trial, error):
                self.display.say(
                    f"{label}: another worker or program has ended this trial or taken it over"
                )
                if isinstance(error, Exception) and not isinstance(error, (TimeUp, ProcessSpent)):
                    return
            raise
        drop_losers(self.shared, records)
        self._end(record)

    def _end(self, record: TrialRecord) -> None:
        """Shows how a trial ended. Raises ProcessSpent if it took all memory of the machine."""
        self.display.end(record)
        if record.outcome.state == OUT_OF_MEMORY and self.device == "cpu":
            raise ProcessSpent("the memory was full")

    def _give_back(self, trial: StudyTrial, error: BaseException) -> bool:
        """Requeues the trial of a worker that an error ends, for another to resume.

        One that has lost the device may lose the next one, too, so it is retried once only.
        Returns False if another worker has it already.
        """
        entry = self.run.trial(trial.number)
        try:
            with self.study.lock:
                self._check_ownership(trial)
                if isinstance(error, DeviceLost):
                    recovery = Recovery(self.shared, self.known, self.display.say)
                    now = [t for t in self.study.running() if t.number == trial.number]
                    for record in recovery.give_up(now, error.reason):
                        self.display.end(record)
                elif not entry.record_path.exists():
                    self.study.put_back(trial)
        except GivenAway:
            entry.weights.unlink(missing_ok=True)
            return False
        except Exception:  # the study cannot be reached; the trial becomes stale
            log.exception("trial %s could not be put back", trial.number)
            return True
        return True

    def _check_ownership(self, trial: StudyTrial) -> None:
        """Raises GivenAway if the trial is no longer this worker's."""
        if not self.study.owns(self.name, trial):
            raise GivenAway

    def _keep(self, subject: Subject, outcome: Outcome, started: float) -> TrialRecord:
        """Writes the record of a trial and removes its checkpoint."""
        environment = {**self.environment, "precision": self.trainer.precision_of(subject)}
        seconds = time.perf_counter() - started
        record = self.shared.config.record(subject, outcome, environment, seconds)
        entry = self.run.entry(subject)
        entry.write(record)
        self.known.note(record)
        shutil.rmtree(entry.checkpoint, ignore_errors=True)
        note_end(subject.label, outcome.state, outcome.reason)
        return record
