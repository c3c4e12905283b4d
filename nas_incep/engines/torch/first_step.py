"""One forward and backward pass of a freshly initialized network, watched layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...architecture import Architecture
from ..initialization import LayerSpread, activations_spread, layer_spread
from .networks import build_network
from .runtime import torch
from .training import initialize

F: Any = torch.nn.functional


def first_step(
    architecture: Architecture,
    images: np.ndarray,
    labels: np.ndarray,
    initializer: str,
    seed: int,
    device: Any,
) -> tuple[float, tuple[LayerSpread, ...]]:
    """See `engines.base.Engine`; `device` is a torch.device."""
    network = build_network(architecture)
    initialize(network, initializer, seed)
    network.to(device).train()
    seen: dict[str, tuple[float, float]] = {}
    weights = _weights(network)
    for name in weights:
        network.get_submodule(name).register_forward_hook(_observer(name, seen))
    y = torch.from_numpy(labels.astype(np.int64)).to(device)
    loss = F.cross_entropy(network(torch.from_numpy(images).to(device)), y)
    loss.backward()
    layers = (
        layer_spread(name, found, weights[name].grad.cpu().numpy()) for name, found in seen.items()
    )
    return float(loss.detach()), tuple(layers)


def _weights(network: Any) -> dict[str, Any]:
    """The weight of each layer by name: a convolution, alone or with BatchNorm and ReLU.

    With BatchNorm the convolution is the first part of its layer.
    """
    found = {}
    for name, parameter in network.named_parameters():
        if parameter.dim() == 4:
            found[name.removesuffix(".weight").removesuffix(".0")] = parameter
    return found


def _observer(name: str, seen: dict[str, tuple[float, float]]) -> Callable[..., None]:
    def observe(layer: Any, inputs: Any, output: Any) -> None:
        seen[name] = activations_spread(output.detach().cpu().numpy())

    return observe
