"""Networks of the user's own in a run folder: their graphs, so that a run needs no code of theirs.

In run.json such a baseline is `networks/NAME`, wherever the folder is moved; elsewhere it has the
folder's absolute path in front, as any converted network has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._files import read_json, write_json
from ..errors import InputError
from .config import RunConfig
from .paths import NETWORKS


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


def check_graphs(run: Path, graphs: Mapping[str, Any]) -> None:
    """Raises InputError if a run has another graph in a file of such a name."""
    for file, graph in graphs.items():
        path = run / NETWORKS / file
        if path.exists() and read_json(path, regular=True) != graph:
            raise InputError(
                f"{path}: this run has trained another network of that name: give the function "
                "another name, or the search another --run"
            )


def keep_graphs(run: Path, graphs: Mapping[str, Any]) -> None:
    """Writes graphs, by the names of their files, as far as the run has none."""
    for file, graph in graphs.items():
        path = run / NETWORKS / file
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            write_json(path, graph)
