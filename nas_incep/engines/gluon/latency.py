"""The latency of a network: its inference time for one image."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .runtime import mx

# The first calls compile the graph and lay out its memory.
WARM_UP_CALLS, WARM_UP_SECONDS = 3, 0.1
# Other processes of the machine run in bursts, so the calls are spread over some time; a network
# that is too slow for many calls in that time still gets a few.
LEAST_CALLS, MEASURED_SECONDS = 3, 0.4


def measure_latency(network: Any, input_shape: tuple[int, ...], device: Any) -> float:
    """Measure the milliseconds from one image on the device to the network's output there.

    The image has `input_shape` `(channels, height, width)`. The result is the median of many
    sequential calls after a warm-up, about half a second in all, in inference mode with a batch of
    1 and a static graph; on a CPU, with the number of threads that `threads()` returns. `network`
    is initialized on `device`. Its parameters, running statistics and compiled graphs, and MXNet's
    random state, stay unchanged.
    """
    graph = _inference_graph(network)
    # A local generator leaves numpy's global state alone; zeros could be faster than real images.
    pixels = np.random.default_rng(0).standard_normal((1, *input_shape), dtype=np.float32)
    image = mx.nd.array(pixels, ctx=device)

    def call() -> None:
        # The caller may be recording gradients.
        with mx.autograd.pause(train_mode=False):
            graph(image).wait_to_read()

    _seconds(call, WARM_UP_CALLS, WARM_UP_SECONDS)
    return 1000 * statistics.median(_seconds(call, LEAST_CALLS, MEASURED_SECONDS))


def _inference_graph(network: Any) -> Any:
    """A block of the network's symbol that shares its parameters.

    Hybridizing a wrapper would hybridize the network inside it, and drop its compiled graphs.
    """
    data = mx.sym.Variable("data", dtype="float32")
    graph = mx.gluon.SymbolBlock(network(data), data, params=network.collect_params())
    graph.hybridize(static_alloc=True, static_shape=True)
    return graph


def _seconds(call: Callable[[], None], least: int, in_all: float) -> list[float]:
    """The seconds of each call: at least `least` calls, and more until `in_all` seconds passed."""
    times: list[float] = []
    end = time.perf_counter() + in_all
    while len(times) < least or time.perf_counter() < end:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return times
