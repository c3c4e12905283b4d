"""A trained network of a model zoo as a bundle describes it; nothing here computes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Union

from ._formats import Natural, Positive, read, unwrap
from .architecture import Architecture

FORMAT = "nas-incep-zoo-network"
VERSION = 1


@dataclass(frozen=True)
class ZooNetwork:
    """A baseline: images of `input_shape` to the scores of `classes`.

    `name` is that of its record, such as `inception3@75`. `graph` is MXNet's symbol JSON for any
    number of classes, without the resize of `NAME@SIZE`; its variables are named as the parameters.
    """

    name: str
    classes: Positive
    input_shape: tuple[Positive, Positive, Positive]  # (channels, height, width)
    parameters: Natural
    macs: Natural  # multiply-accumulates for one image
    graph: dict[str, Any]

    @property
    def identity(self) -> str:
        """What tells it from other networks, as with an architecture."""
        return self.name

    def to_json(self) -> dict[str, Any]:
        """A JSON object, as network.json has it."""
        return {"format": FORMAT, "version": VERSION, **asdict(self)}


# What a bundle may hold.
AnyNetwork = Union[Architecture, ZooNetwork]


def from_json(value: object, source: str) -> ZooNetwork:
    """Reads a network from a JSON object. Raises InputError, naming `source`, if it is invalid.

    Whether the graph is sound is seen by those who build it.
    """
    fields = unwrap(value, FORMAT, (VERSION,), source)
    return read(fields, ZooNetwork, source)
