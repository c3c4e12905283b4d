"""How fast this process trains, measured."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from ...architecture import Architecture
from ...datasets import Dataset
from ...recipe import Recipe
from .networks import build_network
from .training import Training


def images_per_second(
    architecture: Architecture,
    dataset: Dataset,
    recipe: Recipe,
    device: Any,
    precision: str,
    seconds: float,
    ready: Callable[[], None],
) -> float:
    """Training images a second, evaluation apart, over so many seconds and four batches at least.

    `ready` is called when the network is compiled and the clock is about to start.
    """
    # At a rate of zero nothing can diverge.
    short = dataclasses.replace(recipe, images_per_epoch=4 * recipe.batch_size, learning_rate=0.0)
    training = Training(build_network(architecture), dataset, short, 0, device, precision)
    training.train_epoch()
    ready()
    images, started = 0, time.perf_counter()
    while True:
        images += training.train_epoch()[2]
        taken = time.perf_counter() - started
        if taken > seconds:
            return images / taken
