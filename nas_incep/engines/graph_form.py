"""What a graph in symbol JSON must be before an engine builds it: it may come from a stranger."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from .._text import plain
from ..errors import InputError
from .specs import CLASSES, MAX_NODES, MAX_PARAMETERS

# An attribute of such a name counts something; zero would be divided by.
_COUNT = re.compile(r"num_\w+")
_MOST_OUTPUTS = 1024  # of one operator
# Of a convolution or a pooling: two numbers, and the least that each may be.
_PAIRS = {"kernel": 1, "stride": 1, "dilate": 1, "pad": 0}


def check_graph(graph: Mapping[str, Any]) -> None:
    """Raises InputError, without a source, unless an engine can read each node of a graph."""
    nodes, heads = graph.get("nodes"), graph.get("heads")
    if not isinstance(nodes, list) or not nodes:
        raise InputError("not a valid graph: it has no list of nodes")
    if len(nodes) > MAX_NODES:
        raise InputError(f"{len(nodes)} nodes; at most {MAX_NODES} are expected")
    for number, node in enumerate(nodes):
        _check_node(number, node)
    if not isinstance(heads, list) or not heads or not _is_source(heads[0]):
        raise InputError("not a valid graph: it has no heads, which name its output")
    if not 0 <= heads[0][0] < len(nodes):
        raise InputError(f"not a valid graph: its head is node {heads[0][0]} of {len(nodes)}")
    if not any(node["op"] == "null" and node["name"] == "data" for node in nodes):
        raise InputError("it has no input named data, as Gluon names the images")


def _check_node(number: int, node: Any) -> None:
    if not isinstance(node, dict):
        raise InputError(f"not a valid graph: node {number} is not a JSON object")
    for key in ("op", "name"):
        if not isinstance(node.get(key), str):
            raise InputError(f"not a valid graph: node {number} has no {key} that is a text")
    name = plain(node["name"], limit=80)
    inputs = node.get("inputs", [] if node["op"] == "null" else None)
    if not isinstance(inputs, list) or not all(map(_is_source, inputs)):
        raise InputError(f"not a valid graph: node {name} has no inputs that are pairs of numbers")
    attributes = node.get("attrs", {})
    if not isinstance(attributes, dict):
        raise InputError(f"not a valid graph: the attrs of node {name} are not a JSON object")
    counts = str(attributes.get(CLASSES, "")).split(",")
    for key, value in attributes.items():
        if key not in counts and key != "num_args" and _COUNT.fullmatch(key):
            _check_count(node["op"], key, str(value))
        if node["op"] in ("Convolution", "Pooling") and key in _PAIRS:
            _check_pair(node["op"], key, str(value))


def _is_source(value: Any) -> bool:
    """Whether a value names an output of a node, as `[node, output]` or with a third number."""
    return (
        isinstance(value, list) and len(value) >= 2 and all(type(part) is int for part in value[:2])
    )


def _check_count(operator: str, key: str, value: str) -> None:
    """Raises InputError unless an attribute that counts something is a positive integer."""
    most = _MOST_OUTPUTS if key == "num_outputs" else MAX_PARAMETERS
    if not (value.isascii() and value.isdecimal() and 0 < int(value[:20]) <= most):
        raise InputError(
            f"{plain(operator, limit=80)} has {key} {plain(value[:40])}: an integer from 1 to "
            f"{most:,} is expected"
        )


def _check_pair(operator: str, key: str, value: str) -> None:
    """Raises InputError unless an attribute is one number for each dimension of an image."""
    try:
        found = ast.literal_eval(value[:200].strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    pair = list(found) if isinstance(found, (tuple, list)) else [found, found]
    if pair == []:  # not given
        return
    if len(pair) != 2 or not all(type(side) is int and side >= _PAIRS[key] for side in pair):
        raise InputError(
            f"{operator} has {key} {plain(value[:40])}: two integers from {_PAIRS[key]} on are "
            "expected, for the height and the width"
        )
