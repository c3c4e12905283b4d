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

from .. import datasets as data
from .._logs import log_file, place_of
from .._machine import FLOAT32, versions
from ..answers import Answers
from ..datasets import Dataset
from ..datasets.batches import epoch_images
from ..engines.base import Engine, Job, NetworkFailed, Training
from ..errors import GivenAway, ProcessSpent, TimeUp
from ..records import (
    COMPLETE,
    DIVERGED,
    FAILED,
    OUT_OF_MEMORY,
    OVER_BUDGET,
    PRUNED,
    SEARCH,
    TIMED_OUT,
    EpochResult,
    Outcome,
    Subject,
    TrialRecord,
)
from ..results.config import DataFacts
from ..results.run import Candidates
from ..spaces.space import over_latency
from ..study.trial import StudyTrial
from .clock import Clock
from .display import Display
from .liveness import new_name, present
from .pruned_weights import drop_losers
from .recovery import Shared, baseline_subject, tell_ending
from .reruns import Reruns
from .scheduler import Scheduler, Task
from .surroundings import other_environment

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
    ) -> None:
        """Raises InputError if the device, the precision or the data are unavailable.

        `dataset` is loaded from the run's configuration unless it is given.
        """
        self.request, self.run, self.study = shared.request, shared.run, shared.study
        self.shared, self.engine, self.display, self.post = shared, engine, display, post
        self.device = engine.resolve(post.device)
        self.precision = shared.config.precision or FLOAT32
        engine.check_precision(self.precision, self.device)
        if dataset is None:
            request = self.request
            dataset = data.load(request.dataset, request.data_dir, request.validation_size)
            loaded = dataclasses.replace(shared.config, data=DataFacts.of(dataset))
            self.run.check_same(shared.config, loaded)
        self.dataset = dataset
        self.environment = {
            "device": self.device,
            "threads": engine.threads(),
            "versions": versions(),
        }
        self.name = post.supervised_as or new_name()
        self.candidates = Candidates(self.run)

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
        scheduler = Scheduler(
            self.shared, self.name, self.dataset.info, self.candidates, self.display.say
        )
        supervised = bool(self.post.supervised_as)
        with present(self.run.workers_path, self.name, supervised, self.study.lock):
            for spec in self.post.baselines:
                self._train_baseline(spec)
            while True:
                task = scheduler.next_task(self.post.deadline)
                if task is None:
                    break
                self._see_through(task)
            reruns = Reruns(self.shared, self.name, self.display.say)
            while subject := reruns.next(self.post.deadline):
                self._train_again(reruns, subject)

    def _train_baseline(self, spec: str) -> None:
        entry = self.run.entry(subject := baseline_subject(self.request, spec))
        # One that ran out of time or memory is retried: this call may grant more.
        if entry.record_path.exists() and entry.read().outcome.state in (COMPLETE, DIVERGED):
            return
        started = time.perf_counter()
        outcome = self._train(subject)
        self._end(self._keep(subject, outcome, started))

    def _train_again(self, reruns: Reruns, subject: Subject) -> None:
        """Trains a network with a fresh seed and writes its record."""
        started = time.perf_counter()
        record = None
        try:
            with reruns.kept_alive(subject):
                outcome = self._train(subject)
                with self.study.lock:
                    if reruns.owns(subject):
                        record = self._keep(subject, outcome, started)
        finally:
            if record is None:
                self.display.leave(subject.label)
            reruns.release(subject)
        if record:
            self._end(record)

    def _see_through(self, task: Task) -> None:
        """Trains a task if it needs training, writes its record and tells the study."""
        trial, label = task.trial, task.subject.label
        started = time.perf_counter()
        try:
            with self.study.keep_alive(trial):
                outcome = task.outcome or self._train(task.subject, trial)
                # Under the lock no other worker can take this trial for stale.
                with self.study.lock:
                    self._check_ownership(trial)
                    record = self._keep(task.subject, outcome, started)
                    records = self.candidates.refresh([*self.study.finished(), trial.number])
                    tell_ending(self.shared, trial, record, records)
        except BaseException as error:
            self.display.leave(label)
            if self.study.is_unreachable(error):
                raise
            if not self._give_back(trial):
                self.display.say(
                    f"{label}: another worker or program has ended this trial or taken it over"
                )
                if isinstance(error, Exception) and not isinstance(error, TimeUp):
                    return
            raise
        drop_losers(self.shared, records)
        self._end(record)

    def _end(self, record: TrialRecord) -> None:
        """Shows how a trial ended. Raises ProcessSpent if it took all memory of the machine."""
        self.display.end(record)
        if record.outcome.state == OUT_OF_MEMORY and self.device == "cpu":
            raise ProcessSpent("the memory was full: the same command goes on in a new process")

    def _give_back(self, trial: StudyTrial) -> bool:
        """Requeues the trial of a worker that is ending, for another to resume.

        Returns False if another worker has it already.
        """
        entry = self.run.trial(trial.number)
        try:
            with self.study.lock:
                self._check_ownership(trial)
                if not entry.record_path.exists():
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

    def _train(self, subject: Subject, trial: StudyTrial | None = None) -> Outcome:
        """Trains a network; its outcome. Raises TimeUp, and errors that are not the network's."""
        recipe, labels = self.request.recipe_of(subject), self.dataset.train.labels
        images = epoch_images(len(labels), recipe.batch_size, recipe.images_per_epoch)
        self.display.start(subject.label, recipe.epochs, images)
        log.info("%s: %s begins", subject.label, subject.name)
        job = Job(
            subject=subject,
            dataset=self.dataset,
            recipe=recipe,
            device=self.device,
            precision=self._precision(subject),
            checkpoint=self.run.entry(subject).checkpoint,
        )
        try:
            with self.engine.start(job) as training:
                return self._outcome(training, subject, trial)
        except NetworkFailed as failure:  # before its training started
            return _failed(subject, failure)

    def _outcome(self, training: Training, subject: Subject, trial: StudyTrial | None) -> Outcome:
        latency = None
        try:
            latency = self._latency(training, subject, trial)
            ending = self._follow(training, subject, trial, latency)
            # Bundles hold the parameters of the search.
            if ending.state == COMPLETE and subject.stage == SEARCH:
                training.save(self.run.entry(subject).weights)
        except NetworkFailed as failure:
            ending = _failed(subject, failure)
        right = training.right if ending.state == COMPLETE else None
        return dataclasses.replace(
            ending,
            right=Answers.of(right) if right is not None else None,
            curve=tuple(training.curve),
            parameters=training.parameters,
            macs=training.macs,
            latency_ms=latency,
        )

    def _latency(
        self, training: Training, subject: Subject, trial: StudyTrial | None
    ) -> float | None:
        """The latency in ms, measured before training; a resumed trial keeps its first figure."""
        if not self.request.measures_latency or subject.stage != SEARCH:
            return None
        if trial is None:
            return training.latency_ms()
        known = self.study.latency_ms(trial)
        if known is None:
            known = training.latency_ms()
            self.study.note_latency(trial, known)
        return known

    def _follow(
        self, training: Training, subject: Subject, trial: StudyTrial | None, latency: float | None
    ) -> Outcome:
        """Runs a training until it is done, pruned or out of time; its state and reason."""
        recipe, limits = self.request.recipe_of(subject), self.request.space.limits
        if trial is not None and latency is not None:
            broken = over_latency(limits, latency)
            if broken:
                return Outcome(OVER_BUDGET, "; ".join(broken))
        seconds = self.request.trial_timeout
        clock = Clock(self.display, subject.label, self.post.deadline, seconds)
        for point in training.epochs(clock.should_stop):
            self.display.epoch(subject.label, point)
            if point.epoch < recipe.epochs and clock.is_over():
                break
            if trial is not None and self._is_to_be_pruned(trial, point):
                return Outcome(PRUNED, f"not among the best after epoch {point.epoch}")
        if clock.search_is_over:
            raise TimeUp
        if clock.trial_is_over:
            return Outcome(TIMED_OUT, f"--trial-timeout is {self.request.trial_timeout:g} s")
        return Outcome(COMPLETE)

    def _is_to_be_pruned(self, trial: StudyTrial, point: EpochResult) -> bool:
        """Reports an epoch to the study, which decides at the rungs."""
        self.study.report(trial, [point])
        return self.study.should_prune(trial, point.epoch)

    def _precision(self, subject: Subject) -> str:
        """Float32 for baselines, which MXNet's automatic mixed precision slows down."""
        return FLOAT32 if subject.is_baseline else self.precision

    def _keep(self, subject: Subject, outcome: Outcome, started: float) -> TrialRecord:
        """Writes the record of a trial and removes its checkpoint."""
        record = self.shared.config.record(
            subject,
            outcome,
            {**self.environment, "precision": self._precision(subject)},
            time.perf_counter() - started,
        )
        entry = self.run.entry(subject)
        entry.write(record)
        shutil.rmtree(entry.checkpoint, ignore_errors=True)
        log.info("%s: %s %s", subject.label, outcome.state, outcome.reason)
        return record


def _failed(subject: Subject, failure: NetworkFailed) -> Outcome:
    log.warning(
        "%s: %s: %s", subject.label, failure.state, failure.reason, exc_info=failure.__cause__
    )
    where = place_of(failure) if failure.state == FAILED else ""
    return Outcome(failure.state, failure.reason, where=where)
