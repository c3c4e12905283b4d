"""Baselines that functions of the user's own make.

The user's code runs once, in a process of its own, when a search is asked for. What it makes is
kept as a graph in the run folder, and from then on it is a baseline like any converted network.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._files import parse_json, write_json
from .._machine import installed_mxnets
from .._processes import last_sentence, own_command
from ..engines.specs import SYMBOL, ImportPath, canonical_baseline, import_path
from ..errors import InputError
from ..results.networks import check_graphs
from ..results.paths import NETWORKS


@dataclass(frozen=True)
class OwnNetworks:
    """The baselines of a search, and the graphs of those that the user's functions have made."""

    baselines: tuple[str, ...]  # those made by functions as if they were in the run folder
    folder: Path  # where they will be
    graphs: dict[str, Any]  # by the files' names
    made_by: dict[str, ImportPath]  # by the networks' names

    @contextmanager
    def at_hand(self, specs: Sequence[str]) -> Iterator[dict[str, str]]:
        """By the names of baselines, those by which an engine can open them now.

        The run folder need not be there yet. An InputError of the block names what the user named.
        """
        with tempfile.TemporaryDirectory(prefix="nas-incep-") as temporary:
            for file, graph in self.graphs.items():
                write_json(Path(temporary) / file, graph)
            try:
                yield {spec: self._in(temporary, spec) for spec in specs}
            except InputError as error:
                text = str(error)
                for name, path in self.made_by.items():
                    text = text.replace(f"{temporary}/{name}", str(path))
                raise InputError(text) from error

    def _in(self, temporary: str, spec: str) -> str:
        own = f"{self.folder}/"
        return f"{temporary}/{spec[len(own) :]}" if self.graphs and spec.startswith(own) else spec


def own_networks(baselines: Sequence[str], run: Path) -> OwnNetworks:
    """Makes the networks of baselines that are functions, `MODULE:FUNCTION`; see OwnNetworks.

    Raises InputError if that fails, or the run has another network of such a name.
    """
    folder = run.absolute() / NETWORKS
    named: list[str] = []
    made_by: dict[str, ImportPath] = {}
    for spec in baselines:
        path = import_path(spec)
        if path:
            _check_settings(spec, path)
        named.append(f"{folder}/{path.name}{path.rest}" if path else spec)
        if path and str(made_by.setdefault(path.name, path)) != str(path):
            raise InputError(
                f"baselines {made_by[path.name]} and {path} are different networks of one name"
            )
    graphs = {f"{name}{SYMBOL}": _graph_of(path) for name, path in made_by.items()}
    check_graphs(run, graphs)
    return OwnNetworks(tuple(named), folder, graphs, made_by)


def _check_settings(spec: str, path: ImportPath) -> None:
    """Raises InputError, naming the baseline as the user does, for what is behind its name."""
    try:
        canonical_baseline(path.name + path.rest)
    except InputError as error:
        said = str(error).partition(": ")[2]
        raise InputError(f"baseline {spec}: {said}") from None


def _graph_of(path: ImportPath) -> Any:
    """The graph of the network that a function makes. Raises InputError."""
    if not installed_mxnets():
        raise InputError(
            f"baseline {path}: needs MXNet, which writes its graph: pip install 'nas-incep[cpu]'"
        )
    done = subprocess.run(own_command("graph", path), capture_output=True, text=True)
    if done.returncode:
        words = last_sentence(done.stderr)
        raise InputError(words or f"baseline {path}: MXNet ended before it wrote the graph")
    return parse_json(done.stdout, f"the graph of {path}")
