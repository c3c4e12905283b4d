"""A network as MXNet's symbol and parameters, which MXNet alone loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...datasets.batches import Normalization
from ...zoo_network import AnyNetwork
from .loading import load_network
from .runtime import mx

nn: Any = mx.gluon.nn


class _FromPixels(nn.HybridBlock):
    """A network behind its normalization: pixels of any type to outputs."""

    def __init__(self, network: Any, normalize: Normalization, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.scale = self.params.get_constant("scale", normalize.scale)
            self.shift = self.params.get_constant("shift", normalize.shift)
        self.network = network

    def hybrid_forward(self, F: Any, x: Any, scale: Any, shift: Any) -> Any:
        values = F.broadcast_mul(F.cast(x, dtype="float32"), scale)
        return self.network(F.broadcast_sub(values, shift))


def save_symbol(
    described: AnyNetwork, weights: Path, normalize: Normalization, prefix: Path
) -> None:
    """Writes `PREFIX-symbol.json` and `PREFIX-0000.params`.

    The symbol's input `data` is pixels from 0 to 255 of any type, `(batch, channels, height,
    width)`, its output the scores `(batch, classes)`. Raises InputError if the weights do not fit
    the network.
    """
    network = load_network(described, weights)
    whole = _FromPixels(network, normalize, prefix="input_")
    for constant in (whole.scale, whole.shift):
        constant.initialize(ctx=mx.cpu())
    whole.hybridize()
    whole(mx.nd.zeros((1, *described.input_shape)))  # only a network that was called has a graph
    whole.export(str(prefix), epoch=0)
