"""Checkpoints: all that a training needs to go on after its last whole epoch.

A folder with the parameters and the optimiser's state of one epoch and, written last, `curve.json`,
which says which epoch it is. What an epoch does follows from its seed and number, so a restored
training goes on to exactly the figures of one that was never stopped.
"""

from __future__ import annotations

import dataclasses
import errno
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._files import atomic_file, read_json, write_json
from ..._formats import read, unwrap
from ...records import EpochResult
from .runtime import mx
from .training import Training

FORMAT = "nas-incep-checkpoint"
VERSION = 3
CURVE = "curve.json"


@dataclass(frozen=True)
class _Saved:
    """What `curve.json` holds."""

    form: str
    curve: tuple[EpochResult, ...]


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
    save_parameters(training.network, folder / f"{epoch}.params")
    with atomic_file(folder / f"{epoch}.states") as temporary:
        training.trainer.save_states(str(temporary))
    points = [dataclasses.asdict(point) for point in curve]
    value = {"format": FORMAT, "version": VERSION, "form": training.form.name, "curve": points}
    write_json(folder / CURVE, value)
    for old in folder.glob(f"{epoch - 1}.*"):
        old.unlink()


def restore_checkpoint(training: Training, folder: Path) -> list[EpochResult]:
    """Puts a new training where the checkpoint was written; the learning curve up to there.

    Raises whatever is wrong with the files: the caller then begins anew.
    """
    source = str(folder / CURVE)
    value = read_json(folder / CURVE, regular=True)
    saved = read(unwrap(value, FORMAT, (VERSION,), source), _Saved, source)
    if saved.form != training.form.name:  # begun on another device
        raise ValueError(f"{folder}: its states are of the form {saved.form}")
    curve = list(saved.curve)
    epoch = curve[-1].epoch
    training.network.load_parameters(str(folder / f"{epoch}.params"), ctx=training.device)
    training.form.load()
    training.trainer.load_states(str(folder / f"{epoch}.states"))
    training.epoch = epoch
    return curve


def drop_checkpoint(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
