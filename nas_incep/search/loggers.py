"""Logs of all trainings for other programs, written by the process that searches.

An epoch is logged when it ends. When a training has its record, what its log lacks is added; that
is also done for the records that others have written, when a search begins and ends. So a search
that is resumed goes on in the same logs, and each epoch is in them once.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Protocol

from ..architecture import Block
from ..errors import InputError
from ..records import COMPLETE, RERUNS, UNTRAINED, EpochResult, TrialRecord
from ..results.loggers import MLFLOW, TENSORBOARD
from ..results.run import Run
from ..spaces.space import VARIANTS
from .callbacks import CallbackDisplay
from .display import Display

log = logging.getLogger(__name__)

MODULES = {TENSORBOARD: "tensorboardX", MLFLOW: "mlflow"}


class Logger(Protocol):
    """A log of the trainings of a run."""

    def has(self, record: TrialRecord) -> bool:
        """Whether the log of this training is whole."""
        ...

    def epoch(self, label: str, point: EpochResult) -> None:
        """A training has finished an epoch, perhaps not for the first time."""
        ...

    def end(self, record: TrialRecord) -> None:
        """A training has ended: makes its log whole."""
        ...

    def close(self) -> None: ...


def logged(display: Display, names: Sequence[str], run: Run) -> Display:
    """A display that logs besides; the display itself without loggers.

    Raises InputError if the package of a logger is not installed.
    """
    for name in names:
        if importlib.util.find_spec(MODULES[name]) is None:
            newer = " on Python 3.10 or newer" if name == MLFLOW else ""
            raise InputError(
                f"--logger {name}: {MODULES[name]} is not installed: "
                f"pip install 'nas-incep[{name}]'{newer}; --logger none goes on without it"
            )
    return LoggingDisplay(display, names, run) if names else display


class LoggingDisplay(CallbackDisplay):
    """Shows everything on another display, and logs the trainings of a run.

    A log that cannot be written is left out, because a search may be worth days of training.
    """

    def __init__(self, shown: Display, names: Sequence[str], run: Run) -> None:
        super().__init__(shown, self._log_epoch, self._log_end)
        self._names, self._run = names, run
        self._loggers: dict[str, Logger] = {}

    def begin(self, trials: int, done: list[TrialRecord]) -> None:
        super().begin(trials, done)
        for name in self._names:
            with _Guard(self, name):
                self._loggers[name] = _open(name, self._run)
        self._catch_up()

    def __exit__(self, *error: object) -> None:
        try:
            self._catch_up()
            self._all(lambda logger: logger.close())
        finally:
            super().__exit__(*error)

    def _log_epoch(self, label: str, point: EpochResult) -> None:
        self._all(lambda logger: logger.epoch(label, point))

    def _log_end(self, record: TrialRecord) -> None:
        if record.outcome.state not in UNTRAINED:
            self._all(lambda logger: None if logger.has(record) else logger.end(record))

    def _catch_up(self) -> None:
        """Logs what other processes have trained, and what a killed one has not logged."""
        if self._loggers:
            for record in (*self._run.records(_ignore), *self._run.reruns(_ignore, RERUNS)):
                self._log_end(record)

    def _all(self, act: Callable[[Logger], None]) -> None:
        for name, logger in list(self._loggers.items()):
            with _Guard(self, name):
                act(logger)

    def give_up(self, name: str, error: Exception) -> None:
        """Goes on without a logger, and says so."""
        self._loggers.pop(name, None)
        log.warning("--logger %s", name, exc_info=error)
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        self.say(
            f"--logger {name}: {why}; the search goes on without it, and a later call of "
            "nas-incep resume completes the log"
        )


class _Guard:
    """Gives a logger up if the block raises an Exception."""

    def __init__(self, display: LoggingDisplay, name: str) -> None:
        self._display, self._name = display, name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, Exception):
            self._display.give_up(self._name, error)
            return True
        return False


def _open(name: str, run: Run) -> Logger:
    if name == TENSORBOARD:
        from .tensorboard import TensorBoardLogger

        return TensorBoardLogger(run.logger_path(TENSORBOARD))
    from .mlflow import MLflowLogger

    return MLflowLogger(run.config().study.name, run.logger_path(MLFLOW))


def _ignore(notice: str) -> None:
    """Damaged records are reported by the search."""


def metrics(point: EpochResult) -> dict[str, float]:
    """What is logged of an epoch."""
    return {
        "accuracy/train": point.train_accuracy,
        "accuracy/validation": point.val_accuracy,
        "loss/train": point.loss,
        "loss/validation": point.val_loss,
    }


def final_metrics(record: TrialRecord) -> dict[str, float]:
    """What is logged of a training that is complete; nothing of another."""
    known = {
        "final/accuracy": record.val_accuracy if record.outcome.state == COMPLETE else None,
        "final/latency_ms": record.outcome.latency_ms,
    }
    return {key: value for key, value in known.items() if value is not None}


def hyperparameters(record: TrialRecord) -> dict[str, Any]:
    """The network and its recipe as numbers, texts and truth values."""
    subject, outcome = record.subject, record.outcome
    found: dict[str, Any] = {
        "network": subject.name,
        "kind": subject.kind,
        "stage": subject.stage,
        "seed": str(subject.seed),  # too large for a float
        "parameters": outcome.parameters,
        "macs": outcome.macs,
    }
    if architecture := subject.architecture:
        found["blocks"] = len(architecture.blocks)
        for number, block in enumerate(architecture.blocks):
            found |= {f"b{number}.{key}": v for key, v in zip(Block._fields, block)}
        found |= {key: getattr(architecture, key) for key in VARIANTS}
    recipe = record.recipe
    found |= {f"recipe.{field.name}": getattr(recipe, field.name) for field in fields(recipe)}
    return {key: value for key, value in found.items() if isinstance(value, (int, float, str))}
