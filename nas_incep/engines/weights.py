"""The weights of an architecture's network in a file, checked before a framework sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .._params import read_params
from ..architecture import Architecture
from ..errors import InputError
from ..stages import parameters_of


def read_weights(architecture: Architecture, path: Path) -> dict[str, np.ndarray]:
    """The parameters and running statistics of an architecture's network by name, float32.

    Raises InputError, naming the file, if it cannot be read or does not fit the architecture.
    """
    found = read_params(path)
    expected = {parameter.name: parameter.shape for parameter in parameters_of(architecture)}
    for name, shape in expected.items():
        if name not in found:
            raise InputError(f"{path}: does not fit its architecture: {name} is missing")
        array = found[name]
        if array.shape != shape or array.dtype != np.float32:
            raise InputError(
                f"{path}: does not fit its architecture: {name} is {array.dtype}"
                f"{list(array.shape)}, float32{list(shape)} is expected"
            )
    unknown = sorted(found.keys() - expected.keys())
    if unknown:
        raise InputError(f"{path}: does not fit its architecture: the network has no {unknown[0]}")
    return found
