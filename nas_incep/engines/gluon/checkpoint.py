"""Checkpoints: all that a training needs to go on after its last whole epoch.

A folder with the parameters and the optimizer's arrays of one epoch and, written last,
`curve.json`, which says which epoch it is and holds the sums of all. What an epoch does
follows from its seed and number, so a restored training goes on to exactly the figures of one that
was never stopped. Nothing finished is in a checkpoint: one that is damaged in any way is dropped.
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
from .runtime import mx
from .training import Training

FORMAT = "nas-incep-checkpoint"
# 3 and older held pickles, which are not opened: such a training begins anew.
VERSION = 4
CURVE = "curve.json"


@dataclass(frozen=True)
class _Saved:
    """What `curve.json` holds beside its own sum."""

    form: str
    curve: tuple[EpochResult, ...]
    sha256: dict[str, str]


def save_parameters(network: Any, path: Path) -> None:
    """Writes all parameters in MXNet's format, by their places in the network.

    Raises OSError where the disk does not take the file, which MXNet may not notice itself.
    """
    least = sum(4 * p.data().size for p in network.collect_params().values())
    with atomic_file(path) as temporary:
        try:
            network.save_parameters(str(temporary))
            whole = temporary.stat().st_size >= least
        except mx.base.MXNetError:
            whole = False
        if not whole:
            raise OSError(errno.ENOSPC, "cannot be written whole; is the disk full?", str(path))


def save_checkpoint(training: Training, folder: Path, curve: list[EpochResult]) -> None:
    """Writes the state after the last epoch of `curve`, then drops the one before."""
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
    """Puts a new training where the checkpoint was written; the learning curve up to there.

    Raises whatever is wrong with the files: the caller then begins anew.
    """
    source = str(folder / CURVE)
    value: Any = read_json(folder / CURVE, regular=True)
    if value.pop("sum", None) != _sum(value):
        raise ValueError(f"{source}: damaged, or of another version")
    saved = read(unwrap(value, FORMAT, (VERSION,), source), _Saved, source)
    if saved.form != training.form.name:  # begun on another device
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
    """Removes a checkpoint, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path, epoch: int) -> tuple[Path, Path]:
    """Where the network's parameters and the optimizer's arrays of an epoch lie."""
    return folder / f"{epoch}.params", folder / f"{epoch}.npz"


def _sum(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
