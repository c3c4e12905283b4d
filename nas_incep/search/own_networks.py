"""Baselines whose graphs a run keeps: those that functions of the user's make, and converted ones.

The user's code runs in a process of its own, when a search is asked for. What it makes is kept as a
graph in the run folder, and from then on it is a baseline like any converted network.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._files import parse_json, write_json
from .._machine import installed_mxnets
from .._processes import answer_of
from ..engines.converted import converted_path, read_graph
from ..engines.specs import (
    SYMBOL,
    ImportPath,
    canonical_baseline,
    import_path,
    parse_baseline,
    split_folder,
)
from ..errors import InputError
from ..recipe import PRETRAINED, own_settings
from ..results.networks import check_graphs, graph_file
from ..results.paths import NETWORKS


@dataclass(frozen=True)
class OwnNetworks:
    """The baselines of a search, and the graphs that its run is to keep."""

    baselines: tuple[str, ...]  # canonical; those with a graph as if it were in the run folder
    folder: Path  # where the graphs will be
    graphs: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # by the networks' names
    named: Mapping[str, str] = dataclasses.field(default_factory=dict)  # likewise, by the user

    @contextmanager
    def at_hand(self) -> Iterator[dict[str, str]]:
        """By the names of the baselines, those by which an engine can open them now.

        The run folder need not be there yet. An InputError of the block names what the user named.
        """
        if not self.graphs:
            yield {spec: spec for spec in self.baselines}
            return
        with tempfile.TemporaryDirectory(prefix="nas-incep-") as temporary:
            for name, graph in self.graphs.items():
                write_json(Path(temporary) / graph_file(name), graph)
            try:
                yield {spec: self._in(temporary, spec) for spec in self.baselines}
            except InputError as error:
                raise InputError(self.as_named(str(error), temporary)) from error

    def as_named(self, text: str, folder: object = None) -> str:
        """A message in which networks in a folder, by default the run's, are as the user named."""
        for name, named in self.named.items():
            path = f"{folder or self.folder}/{name}"
            text = text.replace(f"{path}{SYMBOL}", f"the graph of {named}").replace(path, named)
        return text

    def _in(self, temporary: str, spec: str) -> str:
        kept = split_folder(spec)[0] == str(self.folder) and parse_baseline(spec)[0] in self.graphs
        return f"{temporary}/{split_folder(spec)[1]}" if kept else spec


def own_networks(baselines: Sequence[str], run: Path, classes: int) -> OwnNetworks:
    """Makes or reads the graphs of baselines; see OwnNetworks.

    `baselines` are as users name them, `MODULE:FUNCTION` and `DIR/NAME` among them. Raises
    InputError if that fails, or the run has trained another network of such a name.
    """
    folder = run.absolute() / NETWORKS
    specs: list[str] = []
    graphs: dict[str, Any] = {}
    named: dict[str, str] = {}
    for spec in baselines:
        found = _found(spec, folder, named, classes)
        if not found:
            specs.append(canonical_baseline(spec))
            continue
        name, rest, shown, graph = found
        specs.append(canonical_baseline(f"{folder}/{name}{rest}"))
        if named.setdefault(name, shown) != shown:
            raise InputError(
                f"baselines {named[name]} and {shown} are different networks of one name"
            )
        if graph is not None:
            graphs[name] = graph
    check_graphs(run, graphs)
    return OwnNetworks(tuple(dict.fromkeys(specs)), folder, graphs, named)


def _found(
    spec: str, folder: Path, named: Mapping[str, str], classes: int
) -> tuple[str, str, str, Any] | None:
    """A network's name, what stands behind it, how the user names it, its graph if it is not known.

    None for a network that the run has or that is none of the user's own.
    """
    own = import_path(spec)
    if own:
        _check_settings(spec, own)
        graph = None if named.get(own.name) == str(own) else _made(own, classes)
        return own.name, own.rest, str(own), graph
    path = converted_path(spec)
    if path is None or path.parent.absolute() == folder or _is_pretrained(spec):
        return None
    name = parse_baseline(spec)[0]
    shown = str(path.parent.absolute() / name)
    graph = None if named.get(name) == shown else read_graph(path)
    return name, split_folder(spec)[1][len(name) :], shown, graph


def _is_pretrained(spec: str) -> bool:
    """Whether it needs parameters, too, which are not kept in a run."""
    return own_settings(split_folder(spec)[1]).get("initializer") == PRETRAINED


def _check_settings(spec: str, path: ImportPath) -> None:
    """Raises InputError, naming the baseline as the user does, for what is behind its name."""
    try:
        canonical_baseline(path.name + path.rest)
        pretrained = _is_pretrained(path.name + path.rest)
    except InputError as error:
        said = str(error).partition(": ")[2]
        raise InputError(f"baseline {spec}: {said}") from None
    if pretrained:
        raise InputError(
            f"baseline {spec}: a function makes a network without trained parameters; "
            "`nas-incep convert` gives it files that can hold them"
        )


def _made(path: ImportPath, classes: int) -> Any:
    """The graph of the network that a function makes. Raises InputError."""
    about = f"baseline {path}"
    if not installed_mxnets():
        raise InputError(
            f"baseline {path}: needs MXNet, which writes its graph: pip install 'nas-incep[cpu]'"
        )
    return parse_json(answer_of("own-graph", path, f"--classes={classes}", about=about), about)
