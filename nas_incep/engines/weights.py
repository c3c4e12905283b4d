"""The weights of an architecture's network in a file, checked before a framework sees them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .._params import NAMES_AND_SHAPES, read_params
from ..architecture import Architecture
from ..errors import InputError
from ..stages import parameters_of


def read_weights(architecture: Architecture, path: Path) -> dict[str, np.ndarray]:
    """The parameters and running statistics of an architecture's network by name, float32.

    Raises InputError, naming the file, if it cannot be read or does not fit the architecture.
    """
    expected = {parameter.name: parameter.shape for parameter in parameters_of(architecture)}
    return read_arrays(path, expected, "its architecture")


def read_arrays(
    path: Path, expected: Mapping[str, tuple[int, ...]], owner: str
) -> dict[str, np.ndarray]:
    """The arrays of a file by name, float32 of the `expected` shapes by name.

    Raises InputError, which says that they do not fit `owner`.
    """
    # Eight bytes for a number, so that a file in float64 is told its type and not its size.
    limit = 8 * sum(math.prod(shape) for shape in expected.values()) + NAMES_AND_SHAPES
    found = read_params(path, limit)
    problem = misfit(found, expected)
    if problem:
        raise InputError(f"{path}: does not fit {owner}: {problem}")
    return found


def misfit(found: dict[str, np.ndarray], expected: Mapping[str, tuple[int, ...]]) -> str:
    """The first reason why arrays are not float32 of the expected names and shapes, or nothing."""
    for name, shape in expected.items():
        if name not in found:
            return f"{name} is missing"
        array = found[name]
        if array.shape != shape or array.dtype != np.float32:
            return f"{name} is {array.dtype}{list(array.shape)}, float32{list(shape)} is expected"
    unknown = sorted(found.keys() - expected.keys())
    return f"the network has no {unknown[0]}" if unknown else ""
