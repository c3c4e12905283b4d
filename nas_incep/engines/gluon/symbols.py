"""The graph of a zoo's network as symbol JSON whose variables have the parameters' names."""

from __future__ import annotations

import json
from typing import Any

from .baselines import find_baseline, stock_network
from .runtime import mx

# Stands for the number of classes; see engines.torch.graph.
CLASSES = "classes"
_KEPT = ("__init__",)


def export_graph(spec: str) -> dict[str, Any]:
    """The graph of a baseline for any number of classes, without the resize of `NAME@SIZE`.

    Raises InputError if there is no network of that name.
    """
    name, size = find_baseline(spec)
    # The classifier is whatever differs between two numbers of classes.
    graph, other = (_graph(stock_network(name, classes, size)) for classes in (10, 11))
    for node, twin in zip(graph["nodes"], other["nodes"]):
        for key, value in node.get("attrs", {}).items():
            if twin["attrs"][key] != value:
                node["attrs"][key] = CLASSES
    return graph


def _graph(network: Any) -> dict[str, Any]:
    graph = json.loads(network(mx.sym.Variable("data")).tojson())
    named = network._collect_params_with_prefix()
    places = {parameter.name: place for place, parameter in named.items()}
    # A normalization without scale or center has parameters that are never trained.
    fixed = {place for place, parameter in named.items() if parameter.grad_req == "null"}
    nodes = []
    for node in graph["nodes"]:
        kept = {"op": node["op"], "name": places.get(node["name"], node["name"])}
        attributes = node.get("attrs", {})
        if node["op"] == "null":
            attributes = {key: attributes[key] for key in _KEPT if key in attributes}
            if kept["name"] in fixed:
                attributes["__fixed__"] = "True"
        if attributes:
            kept["attrs"] = attributes
        nodes.append({**kept, "inputs": [source[:2] for source in node["inputs"]]})
    return {"nodes": nodes, "heads": [graph["heads"][0][:2]]}
