"""Checkpoints: everything that a training needs to resume after its last whole epoch.

A checkpoint is a folder with the parameters and the optimizer's arrays of one epoch and, written
last, `curve.json`, which names the epoch and has the checksums of all files. Since the seed and the
number of an epoch determine what it does, a resumed training gives exactly the figures of an
uninterrupted one. A checkpoint holds no finished results, so a damaged one is dropped.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..._files import atomic_file, read_json, sha256, write_json
from ..._formats import read, unwrap
from ...records import EpochResult
from .optimizer_state import optimizer_arrays, restore_optimizer
from .runtime import is_out_of_memory, mx
from .training import Training

FORMAT = "nas-incep-checkpoint"
# Versions up to 3 held pickles, which are not opened: such a training starts over.
VERSION = 4
CURVE = "curve.json"


@dataclass(frozen=True)
class _Saved:
    """The contents of `curve.json`, without its own checksum."""

    form: str
    curve: tuple[EpochResult, ...]
    sha256: dict[str, str]


def save_parameters(network: Any, path: Path) -> None:
    """Writes all parameters in MXNet's format, named by their place in the network.

    Raises OSError if the file is incomplete, which MXNet may not notice.
    """
    least = sum(4 * p.data().size for p in network.collect_params().values())
    mx.nd.waitall()  # what is still being computed fails here, and not as a fault of the disk
    with atomic_file(path) as temporary:
        try:
            network.save_parameters(str(temporary))
            whole = temporary.stat().st_size >= least
        except mx.base.MXNetError as error:
            if is_out_of_memory(error):
                raise
            whole = False
        if not whole:
            raise OSError(errno.ENOSPC, "cannot be written in full; is the disk full?", str(path))


def save_checkpoint(training: Training, folder: Path, curve: list[EpochResult]) -> None:
    """Writes the state after the last epoch of `curve`, then removes the previous state."""
    epoch = training.epoch
    parameters, optimizer = _files(folder, epoch)
    save_parameters(training.network, parameters)
    with atomic_file(optimizer) as temporary, open(temporary, "wb") as file:
        np.savez(file, **optimizer_arrays(training.trainer))
    value = {
        "format": FORMAT,
        "version": VERSION,
        "form": training.form.name,
        "curve": [dataclasses.asdict(point) for point in curve],
        "sha256": {path.name: sha256(path) for path in (parameters, optimizer)},
    }
    write_json(folder / CURVE, {**value, "sum": _sum(value)})
    for old in folder.glob(f"{epoch - 1}.*"):
        old.unlink()


def restore_checkpoint(training: Training, folder: Path) -> list[EpochResult]:
    """Restores a new training from a checkpoint; returns the learning curve up to there.

    Raises any error if the files are damaged; the caller then starts over.
    """
    source = str(folder / CURVE)
    value: Any = read_json(folder / CURVE, regular=True)
    if value.pop("sum", None) != _sum(value):
        raise ValueError(f"{source}: damaged, or of another version")
    saved = read(unwrap(value, FORMAT, (VERSION,), source), _Saved, source)
    if saved.form != training.form.name:  # started on another device
        raise ValueError(f"{folder}: its arrays are of the form {saved.form}")
    curve = list(saved.curve)
    parameters, optimizer = _files(folder, curve[-1].epoch)
    for path in (parameters, optimizer):
        if sha256(path) != saved.sha256[path.name]:
            raise ValueError(f"{path}: damaged")
    training.network.load_parameters(str(parameters), ctx=training.device)
    training.form.load()
    with np.load(optimizer, allow_pickle=False) as arrays:
        restore_optimizer(training.trainer, dict(arrays), training.device)
    training.epoch = curve[-1].epoch
    return curve


def drop_checkpoint(folder: Path) -> None:
    """Removes a checkpoint, if there is one."""
    shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path, epoch: int) -> tuple[Path, Path]:
    """The paths of the network's parameters and the optimizer's arrays of an epoch."""
    return folder / f"{epoch}.params", folder / f"{epoch}.npz"


def _sum(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
