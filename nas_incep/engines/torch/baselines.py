"""Baselines: networks of MXNet's zoos, from graphs that ship with the package or that MXNet writes.

Two graphs ship, so that a search has its usual baselines where MXNet is not installed. Where it is,
any network of the zoos can be a baseline: another process writes its graph.
"""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import Any

from ..._files import parse_json, read_json
from ..._machine import installed_mxnets
from ..._processes import last_sentence, own_command
from ...errors import InputError
from ..specs import parse_baseline, require_fit, signature
from .graph import GraphNetwork
from .runtime import torch

GRAPHS = Path(__file__).with_name("graphs")


@functools.lru_cache(maxsize=16)
def find_graph(spec: str) -> dict[str, Any]:
    """The graph of a baseline. Raises InputError if there is none and MXNet cannot write it."""
    name, _ = parse_baseline(spec)
    shipped = GRAPHS / f"{name}.json"
    if shipped.is_file():
        return dict(read_json(shipped))
    if not installed_mxnets():
        names = ", ".join(sorted(path.stem for path in GRAPHS.glob("*.json")))
        raise InputError(
            f"baseline {spec}: without MXNet the baselines are {names}; other networks of its zoos "
            "need it: pip install 'nas-incep[cpu]'"
        )
    done = subprocess.run(own_command("graph", spec), capture_output=True, text=True)
    if done.returncode:
        words = last_sentence(done.stderr)
        raise InputError(words or f"baseline {spec}: MXNet ended before it wrote the graph")
    return dict(parse_json(done.stdout, f"the graph of {spec}"))


def build_baseline(spec: str, classes: int, image_shape: tuple[int, int, int]) -> GraphNetwork:
    """The network of a baseline. Raises InputError if it does not fit the images."""
    _, size = parse_baseline(spec)
    return GraphNetwork(find_graph(spec), f"baseline {spec}", classes, image_shape, size)


def check_baseline(spec: str, classes: int, image_shape: tuple[int, int, int]) -> str:
    """See `engines.base.Engine`. The network is built without storage, so nothing is computed."""
    graph = find_graph(spec)

    def misfit(pixels: int | None) -> str:
        try:
            with torch.device("meta"):
                GraphNetwork(graph, "", classes, image_shape, pixels)
        except InputError as error:
            return str(error).rpartition(": ")[2]
        return ""

    require_fit(spec, image_shape, misfit)
    return signature(graph, parse_baseline(spec)[1], image_shape)
