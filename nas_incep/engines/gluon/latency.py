"""How long a network takes for one image."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .runtime import mx

# The first calls compile the graph and lay out its memory.
WARM_UP_CALLS, WARM_UP_SECONDS = 3, 0.1
# The other processes of a machine come and go in bursts, so the calls are spread over some time;
# a network so slow that the time is over at once gets its fewest calls.
LEAST_CALLS, MEASURED_SECONDS = 3, 0.4


def measure_latency(network: Any, input_shape: tuple[int, ...], device: Any) -> float:
    """Milliseconds from one image `(channels, height, width)` on the device to its output there.

    The median of many calls, one at a time, each waited for, after warming up; about half a second
    in all. In inference mode, with a batch of 1 and a static graph; on a CPU with as many threads
    as `threads()` says. `network` is initialised on `device`, and left as it was: its parameters,
    its running statistics, its own graphs, and MXNet's random numbers.
    """
    graph = _inference_graph(network)
    # What numpy draws here is its own; zeros could be quicker than any image.
    pixels = np.random.default_rng(0).standard_normal((1, *input_shape), dtype=np.float32)
    image = mx.nd.array(pixels, ctx=device)

    def call() -> None:
        # A caller may be recording a training.
        with mx.autograd.pause(train_mode=False):
            graph(image).wait_to_read()

    _seconds(call, WARM_UP_CALLS, WARM_UP_SECONDS)
    return 1000 * statistics.median(_seconds(call, LEAST_CALLS, MEASURED_SECONDS))


def _inference_graph(network: Any) -> Any:
    """A block of the network's symbol and its very parameters.

    To hybridise a wrapper would hybridise the network inside, and drop the graphs that it has.
    """
    data = mx.sym.Variable("data", dtype="float32")
    graph = mx.gluon.SymbolBlock(network(data), data, params=network.collect_params())
    graph.hybridize(static_alloc=True, static_shape=True)
    return graph


def _seconds(call: Callable[[], None], least: int, in_all: float) -> list[float]:
    """The time of each call: at least so many calls, and more until the time is over."""
    times: list[float] = []
    end = time.perf_counter() + in_all
    while len(times) < least or time.perf_counter() < end:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return times
