"""Engines: what builds, trains and evaluates a network, behind the small interface of `base`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:  # it imports numpy, which no help text needs
    from .base import Engine

ENGINES = ("gluon", "table:PATH")
DEFAULT = "gluon"


def load_engine(name: str) -> Engine:
    """The engine `gluon`, or `table:PATH`; its framework is imported: for processes that compute.

    Raises InputError where there is none, or it cannot be used.
    """
    if name == "gluon":
        from .gluon.engine import GluonEngine

        return GluonEngine()
    kind, _, path = name.partition(":")
    if kind == "table" and path:
        from .table.engine import TableEngine

        return TableEngine(Path(path))
    raise InputError(f"engine {name!r}: the engines are {' and '.join(ENGINES)}")


def prepare(name: str, threads: int | None, device: str) -> None:
    """Sets this process up for an engine, before its framework is imported.

    `threads` is the number of CPU threads to compute with, None for the engine's own choice;
    `device` may be a list, for the workers that inherit what holds for all of them.
    """
    if name == "gluon":
        from .gluon.tuning import tune

        tune(threads, device)
