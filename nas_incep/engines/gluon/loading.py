"""Trained networks from files of weights, which are checked before MXNet sees them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...architecture import Architecture
from ...errors import InputError
from ...zoo_network import AnyNetwork, ZooNetwork
from ..specs import parse_baseline, signature
from ..weights import read_arrays, read_weights
from .baselines import array_shapes, build_baseline, network_of, parameters_by_place
from .networks import Network, build_network
from .runtime import device_name, mx, resolve_device
from .symbols import export_graph


def load_network(described: AnyNetwork, weights: Path, ctx: Any = None) -> Any:
    """The network with a file of weights, a HybridBlock on `ctx`, by default the CPU.

    Raises InputError if the file does not fit the network.
    """
    if isinstance(described, Architecture):
        network = build_network(described)
        load_parameters(network, weights, ctx)
        return network
    return _load_baseline(described, weights, _contexts(ctx))


def load_parameters(network: Network, path: Path, ctx: Any) -> None:
    """Raises InputError if the file does not fit the network."""
    contexts = _contexts(ctx)
    # Checked first, because MXNet's reader trusts what a file says of itself.
    read_weights(network.architecture, path)
    try:
        network.load_parameters(str(path), ctx=contexts)
    except (AssertionError, ValueError, mx.base.MXNetError) as error:
        raise InputError(f"{path}: does not fit its architecture: {_reason(error)}") from None


def _load_baseline(described: ZooNetwork, weights: Path, contexts: list[Any]) -> Any:
    source = str(weights.parent)
    if _is_of_zoo(described):
        network = build_baseline(described.name, described.classes, described.input_shape)
    else:
        network = network_of(described, source)
    arrays = read_arrays(weights, array_shapes(network), described.name)
    network.collect_params().reset_ctx(contexts)
    for place, parameter in parameters_by_place(network).items():
        parameter.set_data(mx.nd.array(arrays[place]))
    return network


def _is_of_zoo(described: ZooNetwork) -> bool:
    """Whether the zoo's network of that name is the same one, which has layers to look at."""
    name, shape = described.name, described.input_shape
    size = parse_baseline(name)[1]
    try:
        found = signature(described.graph, size, shape)
        return found == signature(export_graph(name), size, shape)
    except (InputError, LookupError, TypeError, AttributeError):  # it may come from a stranger
        return False


def _contexts(ctx: Any) -> list[Any]:
    """The contexts that a caller names. Raises InputError if a GPU cannot be used."""
    contexts = [mx.cpu()] if ctx is None else ctx if isinstance(ctx, list) else [ctx]
    for context in contexts:
        resolve_device(device_name(context))
    return contexts


def _reason(error: BaseException) -> str:
    """MXNet's message in one line, without its C++ traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [
        "no reason given"
    ]
    line = lines[-1] if lines[0].startswith("Traceback") else " ".join(lines)
    return re.sub(r"^\w*Error: ", "", line)[:300]
