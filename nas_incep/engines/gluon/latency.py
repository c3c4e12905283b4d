"""The latency of a network: its inference time for one image."""

from __future__ import annotations

from typing import Any

from ..latency import median_ms, random_image
from .runtime import mx


def measure_latency(network: Any, input_shape: tuple[int, ...], device: Any) -> float:
    """Measure the milliseconds from one image on the device to the network's output there.

    The image has `input_shape` `(channels, height, width)`. The result is the median of many
    sequential calls after a warm-up, about half a second in all, in inference mode with a batch of
    1 and a static graph; on a CPU, with the number of threads that `threads()` returns. `network`
    is initialized on `device`. Its parameters, running statistics and compiled graphs, and MXNet's
    random state, stay unchanged.
    """
    graph = _inference_graph(network)
    image = mx.nd.array(random_image(input_shape), ctx=device)

    def call() -> None:
        # The caller may be recording gradients.
        with mx.autograd.pause(train_mode=False):
            graph(image).wait_to_read()

    return median_ms(call)


def _inference_graph(network: Any) -> Any:
    """A block of the network's symbol that shares its parameters.

    Hybridizing a wrapper would hybridize the network inside it, and drop its compiled graphs.
    """
    data = mx.sym.Variable("data", dtype="float32")
    graph = mx.gluon.SymbolBlock(network(data), data, params=network.collect_params())
    graph.hybridize(static_alloc=True, static_shape=True)
    return graph
