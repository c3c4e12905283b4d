"""The values in which a network's arrays start: random ones, or those that its zoo publishes."""

from __future__ import annotations

import glob
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from .._params import NAMES_AND_SHAPES, read_params
from ..datasets.files import mxnet_home
from ..errors import InputError
from ..initial_values import check_initial, initial_value
from ..recipe import PRETRAINED, own_settings
from .specs import PARAMS, parse_baseline, split_folder

# What takes the place of a classifier for other classes.
_FRESH = "xavier"
# Bytes that a classifier of another number of classes may have beyond the network's own.
_CLASSIFIER = 256 << 20


def starting_values(
    shapes: Mapping[str, tuple[int, ...]],
    rules: Mapping[str, str],
    initializer: str,
    seed: int,
    spec: str,
    classes: int,
) -> Iterator[tuple[str, np.ndarray]]:
    """The name and the value, float32, of each of a network's arrays.

    `shapes` are those of the arrays by name, `rules` the initializers that some of them ask for,
    `spec` names a baseline. Raises InputError if it is to be pretrained and is not here.
    """
    published: Mapping[str, np.ndarray] = {}
    if initializer == PRETRAINED:
        published, initializer = pretrained_values(spec, shapes, classes), _FRESH
    for name, shape in shapes.items():
        found = published.get(name)
        if found is None:
            found = initial_value(name, shape, initializer, seed, rules.get(name, ""))
        yield name, found


def check_rules(spec: str, shapes: Mapping[str, tuple[int, ...]], rules: Mapping[str, str]) -> None:
    """Raises InputError if an initializer that a baseline asks for is not known or does not fit."""
    for name, shape in shapes.items():
        try:
            check_initial(name, shape, rules.get(name, ""))
        except InputError as error:
            raise InputError(f"baseline {spec}: {error}") from None


def check_pretrained(
    spec: str, shapes: Callable[[], Mapping[str, tuple[int, ...]]], classes: int
) -> None:
    """Raises InputError if a baseline is to be pretrained, and its parameters lack or misfit.

    `shapes` tells those of its arrays.
    """
    if own_settings(split_folder(spec)[1]).get("initializer") == PRETRAINED:
        pretrained_values(spec, shapes(), classes)


def pretrained_values(
    spec: str, shapes: Mapping[str, tuple[int, ...]], classes: int
) -> dict[str, np.ndarray]:
    """The arrays of a baseline in its file of parameters, without a classifier for other classes.

    Raises InputError if there is no such file, or it does not fit.
    """
    path = _file_of(spec)
    limit = 8 * sum(map(math.prod, shapes.values())) + _CLASSIFIER + NAMES_AND_SHAPES
    # HybridBlock.export writes the prefixes `arg:` and `aux:`.
    found = {name.rpartition(":")[2]: array for name, array in read_params(path, limit).items()}
    values, fresh = {}, set()
    for name, shape in shapes.items():
        if name not in found:
            raise InputError(f"baseline {spec}: {path} has no array {name}")
        own = found[name].shape
        if own == shape:
            values[name] = found[name].astype(np.float32)
            continue
        # A classifier is one layer, whose arrays have a row for each class.
        fresh.add(name.rpartition(".")[0])
        if shape[0] != classes or own[1:] != shape[1:] or len(fresh) > 1:
            raise InputError(
                f"baseline {spec}: {name} is {list(own)} in {path}: {list(shape)} is expected"
            )
    return values


def _file_of(spec: str) -> Path:
    """The file of a baseline's parameters, whole as far as its name tells. Raises InputError."""
    folder, name = split_folder(spec)[0], parse_baseline(spec)[0]
    if folder:
        return Path(folder) / f"{name}{PARAMS}"
    root = (mxnet_home() or Path(".mxnet")) / "models"
    found = sorted(root.glob(f"{glob.escape(name)}-????????.params"))
    whole = [path for path in found if _sha1(path, spec).startswith(path.stem[-8:])]
    if len(whole) > 1:
        raise InputError(f"baseline {spec}: {' and '.join(map(str, whole))}: one is expected")
    if not whole and found:
        raise InputError(f"{found[0]}: damaged: its SHA-1 is not what its name tells")
    if not whole:
        raise InputError(
            f"baseline {spec}: {root} has no {name}-SHA1.params: GluonCV's get_model({name!r}, "
            "pretrained=True) downloads it"
        )
    return whole[0]


def _sha1(path: Path, spec: str) -> str:
    try:
        return hashlib.sha1(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"baseline {spec}: {path}: {error.strerror}") from None
