"""Engines: they build, train and evaluate networks, behind the small interface in `base`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .choice import AUTO, choose_engine, lacking

if TYPE_CHECKING:  # it imports numpy, which would slow down --help
    from .base import Engine

__all__ = [
    "AUTO",
    "ENGINES",
    "canonical",
    "choose_engine",
    "is_table",
    "lacking",
    "load_engine",
    "prepare",
    "settled",
]

ENGINES = ("gluon", "torch", "table:PATH")


def is_table(name: str) -> bool:
    """Whether an engine answers from a table: it loads no framework."""
    kind, _, path = name.partition(":")
    return kind == "table" and bool(path)


def canonical(name: str) -> str:
    """An engine's name as a run keeps it: a worker may have another working directory."""
    return f"table:{_path(name).absolute()}" if is_table(name) else name


def settled(engine: str, devices: str, trained_by: str = "gluon") -> tuple[str, tuple[str, ...]]:
    """The engine that a value of `--engine` means, and what the user is told about it.

    `devices` and `trained_by` are those of `choose_engine`. Raises InputError if `auto` finds none.
    """
    if engine != AUTO:
        return canonical(engine), ()
    name, reason = choose_engine(devices, trained_by)
    return name, (f"--engine auto: {name} ({reason})",)


def _path(table: str) -> Path:
    return Path(table.partition(":")[2])


def load_engine(name: str) -> Engine:
    """Loads the engine `gluon`, `torch` or `table:PATH` and its framework.

    Raises InputError if the engine is unknown or cannot be used.
    """
    if name == "gluon":
        from .gluon.engine import GluonEngine

        return GluonEngine()
    if name == "torch":
        from .torch.engine import TorchEngine

        return TorchEngine()
    if is_table(name):
        from .table.engine import TableEngine
        from .table.table import read_table

        return TableEngine(read_table(_path(name)))
    raise InputError(f"engine {name!r}: the engines are {', '.join(ENGINES)}")


def prepare(name: str, threads: int | None, device: str, deterministic: bool = False) -> None:
    """Configures this process for an engine, before its framework is imported.

    `threads` is the number of CPU threads to compute with, None for the engine's choice. `device`
    may be a comma-separated list: workers inherit the settings that suit all of them. With
    `deterministic` equal trainings on a GPU give equal figures; it matters to no other device.
    """
    if name == "gluon":
        from .gluon.tuning import tune

        tune(threads, device, deterministic)
    elif name == "torch":
        from .tuning import tune_process

        tune_process(threads)
        if deterministic:
            # cuBLAS reads it when CUDA starts, and else adds in any order on several streams.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
