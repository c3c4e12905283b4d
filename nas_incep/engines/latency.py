"""How long one image takes, measured in the same way for every engine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

# The first calls compile the graph and lay out its memory.
WARM_UP_CALLS, WARM_UP_SECONDS = 3, 0.1
# Other processes of the machine run in bursts, so the calls are spread over some time; a network
# that is too slow for many calls in that time still gets a few.
LEAST_CALLS, MEASURED_SECONDS = 3, 0.4


def random_image(shape: tuple[int, ...]) -> np.ndarray:
    """An image `(1, channels, height, width)` to measure on, float32, the same at every call.

    A generator of its own leaves numpy's global state alone; zeros could be faster than images.
    """
    return np.random.default_rng(0).standard_normal((1, *shape), dtype=np.float32)


def median_ms(call: Callable[[], None]) -> float:
    """The median milliseconds of many sequential calls after a warm-up, half a second in all."""
    _seconds(call, WARM_UP_CALLS, WARM_UP_SECONDS)
    return 1000 * statistics.median(_seconds(call, LEAST_CALLS, MEASURED_SECONDS))


def _seconds(call: Callable[[], None], least: int, in_all: float) -> list[float]:
    """The seconds of each call: at least `least` calls, and more until `in_all` seconds passed."""
    times: list[float] = []
    end = time.perf_counter() + in_all
    while len(times) < least or time.perf_counter() < end:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return times
