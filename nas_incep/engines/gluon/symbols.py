"""The graph of a network as symbol JSON whose variables have the parameters' names.

MXNet reads it as it reads one of its own; the marks in it are explained in `engines.specs`.
"""

from __future__ import annotations

import json
from typing import Any

from ..specs import CLASSES, FIXED
from .baselines import find_baseline, stock_network
from .runtime import mx

_KEPT = ("__init__",)


def export_graph(spec: str) -> dict[str, Any]:
    """The graph of a baseline for any number of classes, without the resize of `NAME@SIZE`.

    Raises InputError if there is no network of that name.
    """
    name, size = find_baseline(spec)
    ten, eleven = stock_network(name, 10, size), stock_network(name, 11, size)
    return graph_of(ten, ten, eleven)


def graph_of(network: Any, one: Any, other: Any) -> dict[str, Any]:
    """The graph of a network; `one` and `other` are the same for two numbers of classes.

    The classifier is whatever differs between these two.
    """
    graph = _graph(network)
    for node, first, second in zip(graph["nodes"], _graph(one)["nodes"], _graph(other)["nodes"]):
        attributes = first.get("attrs", {})
        differing = [key for key in attributes if second["attrs"][key] != attributes[key]]
        if differing:
            node["attrs"][CLASSES] = ",".join(differing)
    return graph


def _graph(network: Any) -> dict[str, Any]:
    graph: dict[str, Any] = json.loads(network(mx.sym.Variable("data")).tojson())
    named = network._collect_params_with_prefix()
    places = {parameter.name: place for place, parameter in named.items()}
    # A normalization without scale or center has parameters that are never trained.
    fixed = {place for place, parameter in named.items() if parameter.grad_req == "null"}
    for node in graph["nodes"]:
        node["name"] = places.get(node["name"], node["name"])
        if node["op"] != "null":
            continue
        found = node.pop("attrs", {})
        attributes = {key: found[key] for key in _KEPT if key in found}
        if node["name"] in fixed:
            attributes[FIXED] = "True"
        if attributes:
            node["attrs"] = attributes
    return graph
