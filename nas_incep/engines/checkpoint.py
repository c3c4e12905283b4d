"""Checkpoints: everything that a training needs to resume after its last whole epoch.

A checkpoint is a folder with the arrays of one epoch, of the parameters and of the optimizer, in
the format of `.params` files, and, written last, `curve.json`, which names the epoch and has the
checksums of all files. Since the seed and the number of an epoch determine what it does, a resumed
training gives exactly the figures of an uninterrupted one. A checkpoint holds no finished results,
so a damaged one is dropped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._files import read_json, sha256, write_json
from .._formats import read, unwrap
from .._params import NAMES_AND_SHAPES, read_params, write_params
from ..records import EpochResult

FORMAT = "nas-incep-checkpoint"
# Versions up to 3 held pickles, which are not opened, and 4 was Gluon's alone: such a training
# starts over.
VERSION = 5
CURVE = "curve.json"

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after the last epoch of `curve`.

    `form` names how an engine arranges the arrays: only a training of the same form can resume.
    """

    form: str
    curve: tuple[EpochResult, ...]
    parameters: Arrays
    optimizer: Arrays


@dataclass(frozen=True)
class _Saved:
    """The contents of `curve.json`, without its own checksum."""

    form: str
    curve: tuple[EpochResult, ...]
    sha256: dict[str, str]


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Writes a checkpoint, then removes the one of the epoch before."""
    epoch = checkpoint.curve[-1].epoch
    paths = _files(folder, epoch)
    folder.parent.mkdir(exist_ok=True)
    for path, arrays in zip(paths, (checkpoint.parameters, checkpoint.optimizer)):
        write_params(path, arrays)
    value = {
        "format": FORMAT,
        "version": VERSION,
        "form": checkpoint.form,
        "curve": [dataclasses.asdict(point) for point in checkpoint.curve],
        "sha256": {path.name: sha256(path) for path in paths},
    }
    write_json(folder / CURVE, {**value, "sum": _sum(value)})
    for old in folder.glob(f"{epoch - 1}.*"):
        old.unlink()


def largest_file(parameters: int) -> int:
    """An upper bound for the bytes of a file in the checkpoint of a network of so many parameters.

    An optimizer keeps at most three values of each, and there are never more running statistics
    than parameters; names and shapes are in the allowance.
    """
    return 4 * 4 * parameters + NAMES_AND_SHAPES


def read_checkpoint(folder: Path, form: str, parameters: int) -> Checkpoint:
    """Reads the checkpoint of a network of so many parameters in a folder.

    Raises any error if its files are damaged, or larger than it can need.
    """
    source = str(folder / CURVE)
    value: Any = read_json(folder / CURVE, regular=True)
    if value.pop("sum", None) != _sum(value):
        raise ValueError(f"{source}: damaged, or of another version")
    saved = read(unwrap(value, FORMAT, (VERSION,), source), _Saved, source)
    if saved.form != form:  # started on another device
        raise ValueError(f"{folder}: its arrays are of the form {saved.form}")
    paths = _files(folder, saved.curve[-1].epoch)
    limit = largest_file(parameters)
    for path in paths:
        if sha256(path, limit) != saved.sha256[path.name]:
            raise ValueError(f"{path}: damaged")
    return Checkpoint(form, saved.curve, *(read_params(path, limit) for path in paths))


def drop_checkpoint(folder: Path) -> None:
    """Removes a checkpoint, if there is one."""
    shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path, epoch: int) -> tuple[Path, Path]:
    """The paths of the parameters' and the optimizer's arrays of an epoch."""
    return folder / f"{epoch}.params", folder / f"{epoch}.optimizer"


def _sum(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
