"""One forward and backward pass of a freshly initialized network, watched layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...architecture import Architecture
from ..initialization import LayerSpread, activations_spread, layer_spread
from .networks import build_network
from .runtime import mx
from .training import initialize

nn: Any = mx.gluon.nn


def first_step(
    architecture: Architecture,
    images: np.ndarray,
    labels: np.ndarray,
    initializer: str,
    seed: int,
    device: Any,
) -> tuple[float, tuple[LayerSpread, ...]]:
    """See `engines.base.Engine`; `device` is an MXNet context."""
    network = build_network(architecture)
    initialize(network, initializer, seed, architecture.input_shape, device)
    seen: dict[str, tuple[float, float]] = {}
    convolutions = {}
    # A network that is not hybridized calls each layer separately, so hooks see its output.
    for name, layer, convolution in _layers(network):
        layer.register_forward_hook(_observer(name, seen))
        convolutions[name] = convolution
    x, y = mx.nd.array(images, ctx=device), mx.nd.array(labels, ctx=device)
    with mx.autograd.record():
        loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()(network(x), y).mean()
    loss.backward()
    layers = (
        layer_spread(name, found, convolutions[name].weight.grad(device).asnumpy())
        for name, found in seen.items()
    )
    return float(loss.asscalar()), tuple(layers)


def _layers(block: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any, Any]]:
    """(name, layer, convolution): a layer is a convolution, alone or with BatchNorm and ReLU."""
    for key, child in block._children.items():
        here = (*path, key)
        first = next(iter(child._children.values()), None)
        if isinstance(child, nn.Conv2D):
            yield ".".join(here), child, child
        elif isinstance(first, nn.Conv2D) and isinstance(child, nn.HybridSequential):
            yield ".".join(here), child, first
        else:
            yield from _layers(child, here)


def _observer(name: str, seen: dict[str, tuple[float, float]]) -> Callable[..., None]:
    def observe(layer: Any, inputs: Any, output: Any) -> None:
        seen[name] = activations_spread(output.asnumpy())

    return observe
