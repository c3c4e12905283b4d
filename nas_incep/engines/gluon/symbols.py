"""The graph of a network as symbol JSON whose variables have the parameters' names.

MXNet reads it as it reads one of its own; the marks in it are explained in `engines.specs`.
"""

from __future__ import annotations

import json
from typing import Any

from ...errors import InputError
from ..converted import converted_path, read_graph
from ..specs import CLASSES, FIXED
from .baselines import find_baseline, network_at
from .runtime import mx

_KEPT = ("__init__",)


def export_graph(spec: str) -> dict[str, Any]:
    """The graph of a baseline for any number of classes, without the resize of `NAME@SIZE`.

    Raises InputError if there is no such network, or it cannot be traced.
    """
    path = converted_path(spec)
    if path:
        return read_graph(path)
    ten, eleven = twins(spec)
    return graph_of(ten, ten, eleven, 10)


def twins(spec: str) -> tuple[Any, Any]:
    """The same network for 10 and for 11 classes."""
    size = find_baseline(spec)[1]
    return network_at(spec, 10, size), network_at(spec, 11, size)


def with_classes(graph: dict[str, Any], classes: int) -> dict[str, Any]:
    """A graph whose marked attributes are that number of classes."""
    nodes = []
    for node in graph["nodes"]:
        attributes = dict(node.get("attrs", {}))
        attributes.update(dict.fromkeys(_counts(attributes), str(classes)))
        nodes.append({**node, "attrs": attributes} if attributes else node)
    return {**graph, "nodes": nodes}


def _counts(attributes: dict[str, str]) -> list[str]:
    return [name for name in attributes.get(CLASSES, "").split(",") if name]


def graph_of(network: Any, one: Any, other: Any, classes: int) -> dict[str, Any]:
    """The graph of a network; `one` and `other` are the same for `classes` classes and one more.

    Where these two differ is the classifier. Raises InputError if they differ in another way.
    """
    graph, *both = (_graph(each) for each in (network, one, other))
    if len({len(each["nodes"]) for each in (graph, *both)}) > 1:
        raise InputError("other operators for another number of classes")
    for node, first, second in zip(graph["nodes"], *(each["nodes"] for each in both)):
        own, others = first.get("attrs", {}), second.get("attrs", {})
        differing = [key for key in own if others.get(key) != own[key]]
        for key in differing:
            if (own[key], others.get(key)) != (str(classes), str(classes + 1)):
                raise InputError(
                    f"{node['op']} {node['name']} has {key} {own[key]} for {classes} classes and "
                    f"{others.get(key)} for {classes + 1}: the number itself is expected"
                )
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
