"""Which networks are in training, also by workers of other processes: as their logs tell.

A worker writes a line where a training begins, after its epochs, and where it ends; who watches the
run reads the last of them.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from .._files import open_regular
from ..errors import InputError
from ..records import STATES, EpochResult
from ..results.run import Run
from .liveness import host_of, is_dead

log = logging.getLogger(__name__)

GIVEN_AWAY = "given away"  # how a training ends for a worker that has lost it
LEAST_SECONDS = 5.0  # between two epochs that are noted, so that notes do not fill the log
END_OF_LOG = 1 << 16  # bytes that are read; a line takes less than 200
_LINE = re.compile(
    rf".* INFO {re.escape(__name__)}: "
    r"(?P<label>(?:\w+ \d+ of )?(?:trial \d+|baseline [a-z0-9_@-][a-z0-9_.@:=,+-]*)): "
    r"(?:.* begins, (?P<epochs>\d{1,9}) epochs"
    r"|epoch (?P<epoch>\d{1,9}) of (?P<of>\d{1,9}), val (?P<accuracy>[01]\.\d{4})"
    rf"|(?:{'|'.join((*STATES, GIVEN_AWAY))}) .*)"
)


class Notes:
    """What a worker writes about its trainings: of their epochs the first, and then some."""

    def __init__(self) -> None:
        self._next = 0.0  # when an epoch is noted again, a time.monotonic() value

    def beginning(self, label: str, name: str, epochs: int) -> None:
        self._next = 0.0
        log.info("%s: %s begins, %d epochs", label, name, epochs)

    def epoch(self, label: str, point: EpochResult, epochs: int) -> None:
        now = time.monotonic()
        if now > self._next:
            self._next = now + LEAST_SECONDS
            log.info("%s: epoch %d of %d, val %.4f", label, point.epoch, epochs, point.val_accuracy)


def note_end(label: str, state: str, reason: str = "") -> None:
    log.info("%s: %s %s", label, state, reason)


@dataclass(frozen=True)
class InTraining:
    """A training in progress: after how many of its epochs, and how accurate the network then is.

    `host` is the machine of its worker.
    """

    label: str
    epoch: int
    epochs: int
    accuracy: float | None
    host: str

    def __str__(self) -> str:
        text = f"{self.label}: epoch {self.epoch} of {self.epochs}"
        return text if self.accuracy is None else f"{text}, val {self.accuracy:.4f}"


def in_training(run: Run) -> list[InTraining]:
    """The trainings of all living workers of a run, the oldest worker's first."""
    supervised = run.is_locked()
    found = []
    for path in sorted(run.workers_path.glob("[!.]*"), key=_age):
        if not is_dead(run.workers_path, path.name, supervised):
            training = _last(_end_of_log(run, path.name), host_of(path.name))
            found += [training] if training else []
    return found


def sentences(trainings: Iterable[InTraining], most: int = 8) -> list[str]:
    """A line for each training, with the machine where there are several; at most so many."""
    trainings = list(trainings)
    several = len({training.host for training in trainings}) > 1
    lines = [f"{t}, on {t.host}" if several else str(t) for t in trainings[:most]]
    left = len(trainings) - len(lines)
    return [*lines, f"and {left} more in training"] if left else lines


def _last(lines: Iterable[str], host: str) -> InTraining | None:
    """What the last line about a training says; None if that has ended."""
    found = None
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        label, accuracy = match["label"], match["accuracy"]
        if match["epochs"]:
            found = InTraining(label, 0, int(match["epochs"]), None, host)
        elif accuracy:
            found = InTraining(label, int(match["epoch"]), int(match["of"]), float(accuracy), host)
        else:
            found = None
    return found


def _end_of_log(run: Run, worker: str) -> list[str]:
    try:
        with open_regular(run.logs_path / f"{worker}.log") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - END_OF_LOG))
            return file.read(END_OF_LOG).decode("utf-8", "replace").splitlines()
    except (InputError, OSError):  # it has written nothing yet, or it is none of ours
        return []


def _age(path: os.PathLike[str]) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
