"""Trainings for TensorBoard: a folder of event files for each, named as its label."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

from ..records import EpochResult, TrialRecord
from .loggers import final_metrics, hyperparameters, metrics

# The end of the name of a file that has a whole training, before the digits of when it ended.
WHOLE = ".whole-"


class TensorBoardLogger:
    """Writes the event files below a folder.

    While a network is trained, each process that has trained it has a file of its own, which tells
    TensorBoard from which epoch on it replaces the others'. In the end one file replaces all.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._writers: dict[str, Any] = {}
        self._epochs: dict[str, int] = {}  # the last that is in a writer's file

    def has(self, record: TrialRecord) -> bool:
        names = (self._folder / record.subject.label).glob(f"*{_mark(record)}")
        return any(True for _ in names)

    def epoch(self, label: str, point: EpochResult) -> None:
        if label not in self._writers:
            self._writers[label] = self._writer(self._folder / label, point.epoch)
        elif point.epoch <= self._epochs[label]:  # tried again in this call
            return
        self._epochs[label] = point.epoch
        _add(self._writers[label], point)
        self._writers[label].flush()

    def end(self, record: TrialRecord) -> None:
        label = record.subject.label
        self._close(label)
        folder, new = self._folder / label, self._folder / f".{label}.tmp"
        shutil.rmtree(new, ignore_errors=True)
        # TensorBoard reads the folder all the while, so the file comes into it as a whole.
        writer = self._writer(new, 0, _mark(record))
        for point in record.outcome.curve:
            _add(writer, point)
        for name, value in final_metrics(record).items():
            writer.add_scalar(name, value, record.epochs)
        for summary in hparams(hyperparameters(record), final_metrics(record)):
            writer.file_writer.add_summary(summary)
        writer.close()
        folder.mkdir(exist_ok=True)
        old = list(folder.iterdir())
        for path in new.iterdir():
            os.replace(path, folder / path.name)
        for path in old:
            path.unlink()
        new.rmdir()

    def close(self) -> None:
        for label in list(self._writers):
            self._close(label)

    def _writer(self, folder: Path, first: int, suffix: str = "") -> Any:
        """A new file, in place of all that older ones say of step `first` and later ones."""
        folder.mkdir(exist_ok=True)  # without parents: a run folder may have been moved away
        # A number, because two files of one second would have the same name.
        number = next(n for n in itertools.count() if not list(folder.glob(f"*.{n}{suffix}")))
        return SummaryWriter(str(folder), purge_step=first, filename_suffix=f".{number}{suffix}")

    def _close(self, label: str) -> None:
        self._epochs.pop(label, None)
        writer = self._writers.pop(label, None)
        if writer:
            writer.close()


def _add(writer: Any, point: EpochResult) -> None:
    for name, value in metrics(point).items():
        writer.add_scalar(name, value, point.epoch)


def _mark(record: TrialRecord) -> str:
    """The end of the name of the file that has this training whole."""
    return WHOLE + "".join(filter(str.isdigit, record.finished))
