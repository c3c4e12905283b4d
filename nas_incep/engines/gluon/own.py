"""Networks that functions of the user's own modules make.

This is the only code that executes what a baseline names, and only commands that a user has just
given lead here: never a file.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from ..._text import gist
from ...errors import InputError
from ..specs import CLASSES, ImportPath
from .runtime import mx
from .symbols import graph_of, with_classes


def own_graph(path: ImportPath, classes: int) -> dict[str, Any]:
    """The graph, for any number of classes, of what `function(classes=...)` of a module returns.

    Python finds the module as usual, then in the working directory. The function is called for 10,
    for 11 and for `classes` classes, which tells where the number stands. Raises InputError.
    """
    # Last, so that a user's random.py does not take the place of Python's.
    sys.path.append(os.getcwd())
    with _aside():
        function = _function(path)
        ten, eleven, asked = (_call(path, function, count) for count in (10, 11, classes))
        try:
            graph, meant = graph_of(ten, ten, eleven, 10), graph_of(asked, asked, asked, classes)
        except Exception as error:  # a network may do what only arrays can
            raise InputError(
                f"baseline {path}: cannot be written as a graph: {gist(error)}"
            ) from error
    if _computed(with_classes(graph, classes)) != _computed(meant):
        raise InputError(
            f"baseline {path}: the network for {classes} classes differs from that for 10 in more "
            "than their number"
        )
    return graph


@contextlib.contextmanager
def _aside() -> Iterator[None]:
    """Sends what the user's code prints, in any language, to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _call(path: ImportPath, function: Any, classes: int) -> Any:
    called = f"baseline {path}: {path.function}(classes={classes})"
    try:
        network = function(classes=classes)
    except (Exception, SystemExit) as error:  # whatever a user's code raises
        raise InputError(f"{called} raised {type(error).__name__}: {gist(error)}") from error
    if not isinstance(network, mx.gluon.HybridBlock):
        raise InputError(
            f"{called} returned a {type(network).__name__}: a gluon.HybridBlock is expected"
        )
    return network


def _function(path: ImportPath) -> Any:
    """The function itself. Raises InputError if there is none."""
    try:
        module = importlib.import_module(path.module)
    except (Exception, SystemExit) as error:  # whatever a module raises while it is imported
        missing = isinstance(error, ModuleNotFoundError) and error.name == path.module
        advice = "; settings of a zoo's network are NAME=VALUE or pretrained" if missing else ""
        raise InputError(
            f"baseline {path}: {path.module} cannot be imported: {type(error).__name__}: "
            f"{gist(error)}{advice}"
        ) from error
    found = getattr(module, path.function, None)
    if not callable(found):
        where = getattr(module, "__file__", None) or "built in"
        raise InputError(
            f"baseline {path}: {path.module} ({where}) has no function {path.function}"
        )
    return found


def _computed(graph: dict[str, Any]) -> list[Any]:
    """What tells two graphs apart, apart from names that count how many layers there have been."""
    return [
        (node["op"], node["name"] if node["op"] == "null" else "", _attributes(node), source)
        for node in graph["nodes"]
        for source in [[number[:2] for number in node["inputs"]]]
    ]


def _attributes(node: dict[str, Any]) -> dict[str, str]:
    return {key: value for key, value in node.get("attrs", {}).items() if key != CLASSES}
