"""Networks as files that MXNet opens by itself and that the torch engine has as a baseline.

`NAME-symbol.json` and `NAME-0000.params` are what HybridBlock.export writes, but for the names of
the parameters, which are those of `save_parameters`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

from ..._files import write_json
from ..._params import write_params
from ..._text import gist
from ...datasets import DatasetInfo
from ...errors import InputError
from ...zoo_network import AnyNetwork, ZooNetwork
from ..specs import PARAMS, SYMBOL, ImportPath, parse_baseline
from .baselines import (
    at_size,
    check_baseline,
    find_baseline,
    network_at,
    stock_network,
    without_resize,
)
from .graph import GraphNetwork
from .loading import load_network
from .networks import build_network
from .own import own_graph
from .runtime import mx
from .symbols import graph_of, twins, with_classes
from .training import initialize


def convert_initial(spec: str, info: DatasetInfo, path: Path) -> None:
    """Writes a baseline's network with initial values for the images and classes of a data set.

    With `NAME@SIZE` they are for images of that size; no resize is written. `path` is that of the
    files without their endings. Raises InputError if there is no such network, or it does not fit.
    """
    classes = len(info.classes)
    with contextlib.redirect_stdout(io.StringIO()):  # MXNet prints each size that does not fit
        check_baseline(spec, classes, info.image_shape)
    size = find_baseline(spec)[1]
    network = network_at(spec, classes, size)
    initialize(network, "xavier", 0, at_size(info.image_shape, size), mx.cpu())
    _write(path, network, graph_of(network, *twins(spec), 10))


def convert_own(own: ImportPath, info: DatasetInfo, path: Path) -> None:
    """Writes the network that a user's function makes, likewise."""
    size, classes, source = parse_baseline(own.name + own.rest)[1], len(info.classes), str(own)
    graph = own_graph(own, classes)
    network = GraphNetwork(graph, source, classes)
    shape = at_size(info.image_shape, size)
    try:
        network.require_bounded(shape)
        initialize(network, "xavier", 0, shape, mx.cpu())
    except (mx.base.MXNetError, InputError) as error:
        raise InputError(f"baseline {source}: {gist(error)}") from None
    _write(path, network, with_classes(graph, classes))


def convert_pretrained(spec: str, path: Path) -> None:
    """Writes a zoo's network with the parameters that GluonCV publishes, which it downloads.

    `path` is that of the files without their endings. Raises InputError if there are none.
    """
    name, size = find_baseline(spec)
    try:
        network = stock_network(name, None, size)
    except Exception as error:  # a download or a lookup fails in many ways
        raise InputError(f"{spec}: its parameters cannot be had: {gist(error)}") from None
    _write(path, network, graph_of(network, *twins(spec), 10))


def convert_weights(described: AnyNetwork, weights: Path, path: Path) -> None:
    """Writes a network with a file of weights; of a baseline without its resize.

    `path` is that of the files without their endings. Raises InputError if the weights do not fit.
    """
    network = load_network(described, weights)
    if isinstance(described, ZooNetwork):
        graph = with_classes(described.graph, described.classes)
        _write(path, without_resize(network), graph)
        return
    other = network
    if not described.same_shape:  # a head that keeps the shape fits one number of classes
        other = build_network(dataclasses.replace(described, classes=described.classes + 1))
    _write(path, network, graph_of(network, network, other, described.classes))


def _write(path: Path, network: Any, graph: dict[str, Any]) -> None:
    """Writes both files; the graph last, since a graph alone would pass for a whole network."""
    statistics = set(mx.sym.load_json(json.dumps(graph)).list_auxiliary_states())
    named = network._collect_params_with_prefix()
    arrays = {
        f"{'aux' if place in statistics else 'arg'}:{place}": parameter.data().asnumpy()
        for place, parameter in named.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_params(path.with_name(path.name + PARAMS), arrays)
    write_json(path.with_name(path.name + SYMBOL), graph)
