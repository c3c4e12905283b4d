"""Baselines: networks of MXNet's zoos, from graphs that ship, were converted, or that MXNet writes.

Two graphs ship with the package, so that a search has its usual baselines where MXNet is not
installed; `nas-incep convert` has written others. Where MXNet is installed, any network of the zoos
can be a baseline: another process writes its graph.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ..._files import parse_json, read_json
from ..._machine import installed_mxnets
from ..._processes import answer_of
from ...errors import InputError
from ...rates import groups_of, rate_scale
from ...zoo_network import ZooNetwork
from ..base import BaselineFacts
from ..converted import converted_path, read_graph, source_of
from ..specs import parse_baseline, require_fit, signature
from ..starting_values import check_pretrained, check_rules
from .graph import GraphNetwork, Misfit
from .runtime import torch

GRAPHS = Path(__file__).with_name("graphs")


def find_graph(spec: str) -> dict[str, Any]:
    """The graph of a baseline. Raises InputError if there is none and MXNet cannot write it."""
    converted = converted_path(spec)
    return read_graph(converted) if converted else _zoo_graph(spec)


@functools.lru_cache(maxsize=16)
def _zoo_graph(spec: str) -> dict[str, Any]:
    name, _ = parse_baseline(spec)
    shipped = GRAPHS / f"{name}.json"
    if shipped.is_file():
        return dict(read_json(shipped))
    if not installed_mxnets():
        names = ", ".join(sorted(path.stem for path in GRAPHS.glob("*.json")))
        raise InputError(
            f"baseline {spec}: without MXNet the baselines are {names}; others need it "
            "(pip install 'nas-incep[cpu]') or a folder into which `nas-incep convert` has written "
            "them, as in --baseline FOLDER/NAME"
        )
    return dict(parse_json(answer_of("graph", spec, about=f"baseline {spec}"), f"graph of {spec}"))


def build_baseline(spec: str, classes: int, image_shape: tuple[int, int, int]) -> GraphNetwork:
    """The network of a baseline. Raises InputError if it does not fit the images."""
    _, size = parse_baseline(spec)
    return GraphNetwork(find_graph(spec), source_of(spec), classes, image_shape, size)


def network_of(described: ZooNetwork, source: str) -> GraphNetwork:
    """The network that a bundle describes. Raises InputError, naming `source`, if it is none."""
    size = parse_baseline(described.name)[1]
    return GraphNetwork(described.graph, source, described.classes, described.input_shape, size)


def check_baseline(spec: str, classes: int, image_shape: tuple[int, int, int]) -> BaselineFacts:
    """See `engines.base.Engine`. The network is built without storage, so nothing is computed."""
    graph, source = find_graph(spec), source_of(spec)

    def misfit(pixels: int | None) -> str:
        try:
            with torch.device("meta"):
                GraphNetwork(graph, source, classes, image_shape, pixels)
        except Misfit as error:
            return error.reason
        return ""

    require_fit(spec, image_shape, misfit)
    with torch.device("meta"):
        network = build_baseline(spec, classes, image_shape)
    shapes = {name: tuple(array.shape) for name, array in network.arrays().items()}
    check_rules(spec, shapes, network.rules)
    check_pretrained(spec, lambda: shapes, classes)
    same = signature(graph, parse_baseline(spec)[1], image_shape)
    return BaselineFacts(same, rate_scale(shapes, groups_of(graph)))
