"""Tables of learning curves: what was recorded about each network, and the file that holds it.

The file is JSON, an object with the keys `format`, `version`, `networks` and, optionally,
`epoch_seconds` (the simulated duration of each epoch, usually 0) and `conditions` (under which it
was made, an object for people to read). `networks` maps the identity of an architecture or the name
of a baseline to its `parameters`, `macs`, `curves` (one for each seed, of points as in a trial's
record) and, optionally, its `architecture`, `latency_ms` and `answers` (of each curve, which
validation images the network got right after the last epoch). In version 1 a network has one
`curve`. A file named `.xz` is packed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Optional

from msgspec import Meta

from ... import architecture as architectures
from ..._files import read_packed_json
from ..._formats import Amount, Natural, read, unwrap
from ...answers import Answers
from ...architecture import Architecture
from ...errors import InputError
from ...records import EpochResult

FORMAT = "nas-incep-table"
VERSION = 2

Curve = tuple[EpochResult, ...]


@dataclass(frozen=True)
class Network:
    """What was recorded about one network."""

    parameters: Natural
    macs: Natural
    curves: Annotated[tuple[Curve, ...], Meta(min_length=1)]
    architecture: Optional[Architecture] = None
    latency_ms: Optional[Amount] = None
    answers: Optional[tuple[Answers, ...]] = None  # of each curve

    def __post_init__(self) -> None:
        if self.answers is not None and len(self.answers) != len(self.curves):
            raise InputError(
                f"answers has {len(self.answers)} entries: {len(self.curves)} are expected, one "
                "for each curve"
            )


@dataclass(frozen=True)
class _Single:
    """A network in version 1 of the file."""

    parameters: Natural
    macs: Natural
    curve: Curve
    latency_ms: Optional[Amount] = None


_Seconds = Annotated[float, Meta(ge=0, le=86_400)]


@dataclass(frozen=True)
class Table:
    """The networks of a table, by name."""

    source: str  # the file, for messages
    networks: dict[str, Network]
    epoch_seconds: _Seconds = 0.0
    conditions: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The value of the file."""
        networks = {}
        for name, network in self.networks.items():
            fields = {key: item for key, item in asdict(network).items() if item is not None}
            if network.architecture:
                fields["architecture"] = network.architecture.to_json()
            networks[name] = fields
        header = {"format": FORMAT, "version": VERSION, "conditions": self.conditions}
        return {**header, "epoch_seconds": self.epoch_seconds, "networks": networks}


@dataclass(frozen=True)
class _First:
    networks: dict[str, _Single]
    epoch_seconds: _Seconds = 0.0


@dataclass(frozen=True)
class _Second:
    networks: dict[str, Network]
    epoch_seconds: _Seconds = 0.0
    conditions: dict[str, Any] = field(default_factory=dict)


def read_table(path: Path) -> Table:
    """Reads the file of a table. Raises InputError if it cannot be read or is invalid."""
    return table_of(read_packed_json(path), str(path))


def table_of(value: object, source: str) -> Table:
    """Reads a table from a JSON value. Raises InputError, naming `source`, if it is invalid."""
    fields = unwrap(value, FORMAT, (1, VERSION), source)
    if fields.pop("version") == 1:
        first = read(fields, _First, source)
        networks = {
            name: Network(old.parameters, old.macs, (old.curve,), latency_ms=old.latency_ms)
            for name, old in first.networks.items()
        }
        return Table(source, networks, first.epoch_seconds)
    second = read({**fields, **_with_architectures(fields, source)}, _Second, source)
    return Table(source, second.networks, second.epoch_seconds, second.conditions)


def _with_architectures(fields: dict[str, Any], source: str) -> dict[str, Any]:
    """The networks with their architectures read; anything else for `read` to refuse."""
    networks = fields.get("networks")
    if not isinstance(networks, dict):
        return {}
    return {"networks": {name: _network(name, entry, source) for name, entry in networks.items()}}


def _network(name: str, entry: Any, source: str) -> Any:
    if not isinstance(entry, dict) or entry.get("architecture") is None:
        return entry
    place = f"{source}: networks.{name[:80]}.architecture"
    architecture = architectures.from_json(entry["architecture"], place)
    if architecture.identity != name:
        raise InputError(f"{place}: is that of {architecture.identity}")
    return {**entry, "architecture": architecture}
