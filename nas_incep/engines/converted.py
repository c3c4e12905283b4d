"""The graphs of networks in files, as `nas-incep convert` writes them: FOLDER/NAME-symbol.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._files import read_json
from ..errors import InputError
from .specs import SYMBOL, parse_baseline, split_folder


def converted_path(spec: str) -> Path | None:
    """The file of a converted network's graph; None for a network of the zoos."""
    folder, _ = split_folder(spec)
    return Path(folder) / f"{parse_baseline(spec)[0]}{SYMBOL}" if folder else None


def read_graph(path: Path) -> dict[str, Any]:
    """A graph in symbol JSON; those who build it check its contents. Raises InputError."""
    value = read_json(path, regular=True)
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a graph: a JSON object is expected")
    return value


def source_of(spec: str) -> str:
    """How messages name where a graph is from."""
    return str(converted_path(spec) or f"baseline {spec}")
