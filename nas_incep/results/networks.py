"""Networks of the user's own in a run folder: their graphs, so that a run needs no code of theirs.

In run.json such a baseline is `networks/NAME`, wherever the folder is moved; elsewhere it has the
folder's absolute path in front, as any converted network has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._files import read_json, write_json
from ..errors import InputError
from ..records import Subject
from .config import RunConfig
from .paths import NETWORKS


def graph_file(name: str) -> str:
    """The name of a network's file, as MXNet's own export calls it."""
    return f"{name}-symbol.json"


def opened(config: RunConfig, run: Path) -> RunConfig:
    """A configuration as it is in run.json, with absolute paths."""
    return _renamed(config, f"{NETWORKS}/", f"{run.absolute()}/{NETWORKS}/")


def closed(config: RunConfig, run: Path) -> RunConfig:
    """A configuration with the paths that run.json has."""
    return _renamed(config, f"{run.absolute()}/{NETWORKS}/", f"{NETWORKS}/")


def _renamed(config: RunConfig, old: str, new: str) -> RunConfig:
    baselines = tuple(
        new + spec[len(old) :] if spec.startswith(old) else spec
        for spec in config.request.baselines
    )
    return replace(config, request=replace(config.request, baselines=baselines))


def spec_of(config: RunConfig, run: Path, subject: Subject) -> str:
    """By which name an engine finds a network; empty for a candidate.

    A call that goes on with a run may name other baselines, so the request does not tell all.
    """
    spec = config.request.spec_of(subject)
    kept = run / NETWORKS / graph_file(re.split("[@:]", subject.name)[0])
    if subject.is_baseline and "/" not in spec and kept.exists():
        return f"{kept.parent.absolute()}/{subject.name}"
    return spec


def check_graphs(run: Path, graphs: Mapping[str, Any]) -> None:
    """Raises InputError if a run has trained another network of such a name."""
    for name, graph in graphs.items():
        path = run / NETWORKS / graph_file(name)
        # Runs of before kept no graphs.
        if path.exists() and _is_trained(run, name) and not _same(path, graph):
            raise InputError(
                f"{path}: this run has trained another network of that name: give this one "
                "another name, or the search another --run"
            )


def keep_graphs(run: Path, graphs: Mapping[str, Any]) -> None:
    """Writes graphs by the networks' names. Raises InputError as `check_graphs` does."""
    check_graphs(run, graphs)
    for name, graph in graphs.items():
        path = run / NETWORKS / graph_file(name)
        path.parent.mkdir(exist_ok=True)
        if not (path.exists() and _same(path, graph)):
            write_json(path, graph)


def _is_trained(run: Path, name: str) -> bool:
    """Whether a training of a network, whatever its settings, has begun."""
    begun = re.compile(re.escape(name) + r"(?:[@:~].*)?\.(?:json|params|checkpoint|claim)")
    return any(
        begun.fullmatch(path.name)
        for path in run.glob("*/*")
        if path.parent.name != NETWORKS  # whose files end otherwise, but for strange names
    )


def _same(path: Path, graph: Any) -> bool:
    """Whether a file has the same network: as computed, and as it starts."""
    try:
        return bool(_meaning(read_json(path, regular=True)) == _meaning(graph))
    except (InputError, LookupError, TypeError, AttributeError):  # it may be damaged
        return False


def _meaning(graph: Any) -> list[Any]:
    """A graph without what depends on MXNet's version and on what its process did before."""
    return [
        (
            node["op"],
            node["name"] if node["op"] == "null" else "",
            node.get("attrs", {}),
            [source[:2] for source in node["inputs"]],
        )
        for node in graph["nodes"]
    ]
