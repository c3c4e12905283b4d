"""Baselines: networks of MXNet's zoos, from graphs that ship with the package or that MXNet writes.

Two graphs ship, so that a search has its usual baselines where MXNet is not installed. Where it is,
any network of the zoos can be a baseline: another process writes its graph.
"""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path
from typing import Any

from ..._files import parse_json, read_json
from ..._machine import installed_mxnets
from ..._processes import own_command
from ...errors import InputError
from .graph import GraphNetwork

GRAPHS = Path(__file__).with_name("graphs")
INCEPTION3 = "inceptionv3"
# With global pooling at its end, Inception3's poolings and strides still need 75 pixels.
INCEPTION3_STOCK, INCEPTION3_LEAST = 299, 75


def parse_baseline(spec: str) -> tuple[str, int | None]:
    """The name and the image size in pixels of `NAME` or `NAME@SIZE`. Raises InputError.

    Without a size, `inception3` uses its stock size; for other names the size is None, and the
    images are not resized.
    """
    match = re.fullmatch(r"([a-z0-9_.]+)(?:@([1-9][0-9]{0,3}))?", spec.lower())
    if not match:
        raise InputError(f"baseline {spec!r}: NAME or NAME@SIZE is expected, as in inception3@75")
    name, size = match[1], int(match[2]) if match[2] else None
    if name not in ("inception3", INCEPTION3):
        return name, size
    size = size or INCEPTION3_STOCK
    if size < INCEPTION3_LEAST:
        raise InputError(f"baseline {spec}: Inception3 needs images of at least 75 pixels")
    return INCEPTION3, size


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
        words = done.stderr.strip().rpartition("\n")[2].removeprefix("nas-incep: ")
        raise InputError(words or f"baseline {spec}: MXNet ended before it wrote the graph")
    return dict(parse_json(done.stdout, f"the graph of {spec}"))


def build_baseline(spec: str, classes: int, image_shape: tuple[int, int, int]) -> GraphNetwork:
    """The network of a baseline. Raises InputError if it does not fit the images."""
    _, size = parse_baseline(spec)
    return GraphNetwork(find_graph(spec), f"baseline {spec}", classes, image_shape, size)
