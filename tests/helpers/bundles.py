"""Bundles of networks with random values, which no training has made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nas_incep._files import sha256, write_json
from nas_incep._params import write_params
from nas_incep.architecture import Architecture, Block
from nas_incep.export.bundle import Bundle, open_bundle
from nas_incep.export.manifest import (
    ARCHITECTURE,
    MANIFEST,
    WEIGHTS,
    Accuracy,
    FileSum,
    Manifest,
    Origin,
    Preprocessing,
    Source,
)
from nas_incep.recipe import Recipe
from nas_incep.stages import parameters_of

COLORED = Architecture((Block(1, 4, 3, 4, 3, 4, 4),), True, classes=4, input_shape=(3, 12, 10))
NAMES = ("cat", "dog", "frog", "truck")


def random_arrays(architecture: Architecture, seed: int = 0) -> dict[str, np.ndarray]:
    """Values of which none can hide as a 0 or a 1, also in batch normalization."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for parameter in parameters_of(architecture):
        values = rng.standard_normal(parameter.shape)
        values /= np.sqrt(np.prod(parameter.shape[1:] or (1,)))
        if parameter.kind == "running_var":
            values = 0.5 + np.abs(values)
        arrays[parameter.name] = values.astype(np.float32)
    return arrays


def a_bundle(
    path: Path,
    architecture: Architecture = COLORED,
    arrays: dict[str, np.ndarray] | None = None,
    **changes: Any,
) -> Bundle:
    """A bundle in a new folder; `changes` are other fields of the manifest."""
    path.mkdir(parents=True)
    write_json(path / ARCHITECTURE, architecture.to_json())
    write_params(path / WEIGHTS, arrays or random_arrays(architecture))
    channels = architecture.input_shape[0]
    spread = tuple(np.linspace(0.3, 0.5, channels).tolist())
    names = NAMES if architecture.classes == len(NAMES) else map(str, range(architecture.classes))
    fields: dict[str, Any] = {
        "identity": architecture.identity,
        "files": {name: FileSum(sha256(path / name)) for name in (ARCHITECTURE, WEIGHTS)},
        "preprocessing": Preprocessing(spread, spread, architecture.input_shape),
        "classes": tuple(names),
        "data": Source("cifar10", "f" * 16, 5000, True),
        "accuracy": Accuracy(0.75, 0.8, 3),
        "recipe": Recipe(),
        "trial": Origin(7, 1, 0),
    }
    write_json(path / MANIFEST, Manifest(**{**fields, **changes}).to_json())
    return open_bundle(path)
