"""The training of one network for a worker, from its first step to its outcome."""

from __future__ import annotations

import dataclasses
import logging

from .._logs import place_of
from .._machine import FLOAT32
from ..answers import Answers
from ..datasets import Dataset
from ..datasets.batches import epoch_images
from ..engines.base import Engine, Job, NetworkFailed, Training
from ..errors import TimeUp
from ..records import (
    COMPLETE,
    FAILED,
    OVER_BUDGET,
    PRUNED,
    SEARCH,
    TIMED_OUT,
    EpochResult,
    Outcome,
    Subject,
)
from ..results.networks import spec_of
from ..spaces.space import over_latency
from ..study.trial import StudyTrial
from .clock import Clock
from .display import Display
from .in_training import Notes
from .recovery import Shared

log = logging.getLogger(__name__)


class Trainer:
    """Trains networks with an engine, known through its interface only; the study may stop them."""

    def __init__(
        self,
        shared: Shared,
        engine: Engine,
        display: Display,
        dataset: Dataset,
        device: str,
        deadline: float,
    ) -> None:
        """`device` is a resolved one, `deadline` a time.monotonic() value.

        Raises InputError if the device cannot train in the run's precision.
        """
        self._request, self._run, self._study = shared.request, shared.run, shared.study
        self._config = shared.config
        self._engine, self._display, self._dataset = engine, display, dataset
        self._device, self._deadline = device, deadline
        self._precision = shared.config.precision or FLOAT32
        self._notes = Notes()
        engine.check_precision(self._precision, device)

    def train(self, subject: Subject, trial: StudyTrial | None = None) -> Outcome:
        """Trains a network; its outcome. Raises TimeUp, and errors that are not the network's."""
        recipe, labels = self._request.recipe_of(subject), self._dataset.train.labels
        images = epoch_images(len(labels), recipe.batch_size, recipe.images_per_epoch)
        self._display.start(subject.label, recipe.epochs, images)
        self._notes.beginning(subject.label, subject.name, recipe.epochs)
        job = Job(
            subject=subject,
            dataset=self._dataset,
            recipe=recipe,
            device=self._device,
            precision=self.precision_of(subject),
            checkpoint=self._run.entry(subject).checkpoint,
            spec=spec_of(self._config, self._run.path, subject),
            deterministic=self._request.deterministic,
        )
        try:
            with self._engine.start(job) as training:
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
                training.save(self._run.entry(subject).weights)
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
        if not self._request.measures_latency or subject.stage != SEARCH:
            return None
        if trial is None:
            return training.latency_ms()
        known = self._study.latency_ms(trial)
        if known is None:
            known = training.latency_ms()
            self._study.note_latency(trial, known)
        return known

    def _follow(
        self, training: Training, subject: Subject, trial: StudyTrial | None, latency: float | None
    ) -> Outcome:
        """Runs a training until it is done, pruned or out of time; its state and reason."""
        recipe, limits = self._request.recipe_of(subject), self._request.space.limits
        if trial is not None and latency is not None:
            broken = over_latency(limits, latency)
            if broken:
                return Outcome(OVER_BUDGET, "; ".join(broken))
        clock = Clock(self._display, subject.label, self._deadline, self._request.trial_timeout)
        for point in training.epochs(clock.should_stop):
            self._display.epoch(subject.label, point)
            self._notes.epoch(subject.label, point, recipe.epochs)
            if point.epoch < recipe.epochs and clock.is_over():
                break
            if trial is not None and self._is_to_be_pruned(trial, point):
                return Outcome(PRUNED, f"not among the best after epoch {point.epoch}")
        if clock.search_is_over:
            raise TimeUp
        if clock.trial_is_over:
            return Outcome(TIMED_OUT, f"--trial-timeout is {self._request.trial_timeout:g} s")
        return Outcome(COMPLETE)

    def _is_to_be_pruned(self, trial: StudyTrial, point: EpochResult) -> bool:
        """Reports an epoch to the study, which decides at the rungs."""
        self._study.report(trial, [point])
        return self._study.should_prune(trial, point.epoch)

    def precision_of(self, subject: Subject) -> str:
        """The precision in which a network is trained."""
        own = self._precision
        return self._engine.baseline_precision(own) if subject.is_baseline else own


def _failed(subject: Subject, failure: NetworkFailed) -> Outcome:
    log.warning(
        "%s: %s: %s", subject.label, failure.state, failure.reason, exc_info=failure.__cause__
    )
    where = place_of(failure) if failure.state == FAILED else ""
    return Outcome(failure.state, failure.reason, where=where)
