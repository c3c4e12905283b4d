"""What the trainings of all frameworks share: how an epoch is put together, and their speed."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError
from ..records import EpochResult
from .base import Diverged, Evaluation, Job
from .faults import says_no_memory

# The sum of the losses, the number of correct answers, and the images of an epoch.
Sums = tuple[float, int, int]


def never(images: int) -> bool:
    """A `should_stop` that stops nothing."""
    return False


def check_finite(value: float) -> None:
    """Raises Diverged for a loss that is not finite."""
    if not math.isfinite(value):
        raise Diverged(f"the loss is {value}")


class Epochs:
    """The base of a framework's training, which adds the three methods at the end."""

    epoch = 0  # how many are done
    right: np.ndarray | None = None  # see `engines.base.Training`

    def run_epoch(self, should_stop: Callable[[int], Any] = never) -> EpochResult | None:
        """Trains for one epoch, then evaluates. Raises Diverged as soon as a loss is not finite.

        `should_stop` is called regularly with the number of images trained so far in this epoch. If
        it returns true, the result is None and this object must not be used any further.
        """
        started = time.perf_counter()
        sums = self.train_epoch(should_stop)
        if sums is None:
            return None
        loss, correct, images = sums
        trained = time.perf_counter()
        validation = self.validate()
        # A network can diverge in its very last steps.
        check_finite(validation.loss)
        self.store()
        self.epoch += 1
        self.right = validation.right
        return EpochResult(
            epoch=self.epoch,
            loss=loss / images,
            train_accuracy=correct / images,
            val_loss=validation.loss,
            val_accuracy=validation.accuracy,
            images=images,
            train_seconds=trained - started,
            eval_seconds=validation.seconds,
        )

    def train_epoch(self, should_stop: Callable[[int], Any] = never) -> Sums | None:
        """Trains for one epoch; None if `should_stop` returned true. Raises Diverged."""
        raise NotImplementedError

    def validate(self) -> Evaluation:
        """Evaluates the network on the validation images."""
        raise NotImplementedError

    def store(self) -> None:
        """Copies what was trained to `network`, where that is something else."""


def images_per_second(
    begin: Callable[[Job], Any],
    job: Job,
    batches: int,
    seconds: float,
    ready: Callable[[], None],
) -> float:
    """The speed of the training that `begin` makes of a job; see `Engine.images_per_second`.

    An epoch has `batches` batches. The learning rate is zero, so that nothing diverges. Raises
    InputError if the memory is too small.
    """
    recipe = dataclasses.replace(
        job.recipe, images_per_epoch=batches * job.recipe.batch_size, learning_rate=0.0
    )
    try:
        training = begin(dataclasses.replace(job, recipe=recipe))
        training.train_epoch()
        ready()
        images, started = 0, time.perf_counter()
        while True:
            images += training.train_epoch()[2]
            taken = time.perf_counter() - started
            if taken > seconds:
                return images / taken
    except Exception as error:
        if says_no_memory(error):
            raise InputError("the device's memory is full") from None
        raise
