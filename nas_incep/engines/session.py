"""A training for a search, with any framework: its checkpoints, and whose fault a fault is."""

from __future__ import annotations

import errno
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from .._params import write_params
from .._text import gist
from ..errors import DeviceLost
from ..records import OUT_OF_MEMORY, EpochResult
from .base import Job, NetworkFailed
from .checkpoint import (
    CURVE,
    Arrays,
    Checkpoint,
    drop_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from .faults import is_lost_device
from .weights import read_weights

log = logging.getLogger(__name__)


class EpochTraining(Protocol):
    """What a framework does for a session: one network in training.

    After an error it must not be used any further.
    """

    epoch: int  # how many are done

    @property
    def right(self) -> np.ndarray | None:
        """See `engines.base.Training`."""
        ...

    @property
    def form_name(self) -> str:
        """The `form` of its checkpoints."""
        ...

    def run_epoch(self, should_stop: Callable[[int], bool]) -> EpochResult | None:
        """Trains for one epoch and evaluates; None if `should_stop` returned true."""
        ...

    def parameters(self) -> Arrays:
        """The parameters after the last whole epoch, by their canonical names."""
        ...

    def optimizer_arrays(self) -> Arrays:
        """The optimizer's state after the last whole epoch."""
        ...

    def set_parameters(self, parameters: Arrays) -> None:
        """Replaces them before the first step. Raises ValueError if they do not fit."""
        ...

    def restore(self, parameters: Arrays, optimizer: Arrays, epoch: int) -> None:
        """Goes on from such arrays. Raises any error if they do not fit."""
        ...

    def count(self) -> tuple[int, int]:
        """The trainable parameters, and the multiply-accumulates for one image."""
        ...

    def latency_ms(self) -> float:
        """See `engines.base.Training`."""
        ...


class Backend(Protocol):
    """The framework's part of a session."""

    def begin(self, job: Job) -> EpochTraining:
        """A training before its first step."""
        ...

    def failure(self, error: Exception) -> NetworkFailed | None:
        """What an error says about the network; None for faults of ours or of the machine."""
        ...

    def release(self, device: str) -> None:
        """Frees the memory of networks that nothing refers to any more."""
        ...


class Session:
    """The training that `Engine.start` returns; `engines.base.Training` has its contract."""

    def __init__(self, backend: Backend, job: Job) -> None:
        self._backend, self._job = backend, job
        self.curve: list[EpochResult] = []
        try:
            with self._faults():
                self._training = self._begun()
                self.parameters, self.macs = self._training.count()
                if (job.checkpoint / CURVE).exists():
                    self._restore()
        except NetworkFailed as failure:
            # The frames of the traceback hold arrays of what was built so far.
            for error in (failure, failure.__cause__):
                traceback.clear_frames(error.__traceback__ if error else None)
            self.__dict__.pop("_training", None)
            backend.release(job.device)
            raise

    def _restore(self) -> None:
        """Resumes from the checkpoint, or starts over if it is damaged."""
        folder = self._job.checkpoint
        try:
            saved = read_checkpoint(folder, self._form(), self.parameters)
            self._training.restore(saved.parameters, saved.optimizer, saved.curve[-1].epoch)
            self.curve = list(saved.curve)
            return
        except Exception as error:
            if self._is_transient(error):
                raise
            log.warning("%s is dropped: %s", folder, str(error))
        # Outside the except block, where the exception would keep the first network alive.
        del self._training
        self._backend.release(self._job.device)
        drop_checkpoint(folder)
        self._training = self._begun()

    def _begun(self) -> EpochTraining:
        """The training before its first step. Raises InputError for an unsuitable `Job.start`."""
        job, training = self._job, self._backend.begin(self._job)
        if job.start:
            assert job.subject.architecture is not None  # baselines have starts of their own
            training.set_parameters(read_weights(job.subject.architecture, job.start))
        return training

    def _form(self) -> str:
        """What a checkpoint must be of.

        Other networks can have arrays of the same shapes, and a longer training other rates.
        """
        name, epochs = self._job.subject.name, self._job.recipe.epochs
        return f"{self._training.form_name} of {name} for {epochs} epochs"

    def _is_transient(self, error: Exception) -> bool:
        """Whether it says nothing about the checkpoint.

        The device is lost, the memory is full, or the system could not read a file that may be
        sound.
        """
        if is_lost_device(error):
            return True
        failure = self._backend.failure(error)
        if failure and failure.state == OUT_OF_MEMORY:
            return True
        cause = error if isinstance(error, OSError) else error.__context__
        return isinstance(cause, OSError) and cause.errno not in (None, errno.ENOENT)

    @property
    def right(self) -> np.ndarray | None:
        return self._training.right

    def latency_ms(self) -> float:
        with self._faults():
            return self._training.latency_ms()

    def epochs(self, should_stop: Callable[[int], bool]) -> Iterator[EpochResult]:
        training, curve = self._training, self.curve
        yield from curve[-1:]
        while training.epoch < self._job.recipe.epochs:
            with self._faults():
                point = training.run_epoch(should_stop)
            if point is None:
                return
            curve.append(point)
            if training.epoch < self._job.recipe.epochs:
                with self._faults():
                    self._save_checkpoint()
            yield point

    def _save_checkpoint(self) -> None:
        training = self._training
        arrays = training.parameters(), training.optimizer_arrays()
        save_checkpoint(Checkpoint(self._form(), tuple(self.curve), *arrays), self._job.checkpoint)

    def save(self, path: Path) -> None:
        with self._faults():
            arrays = self._training.parameters()
        write_params(path, arrays)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Raises NetworkFailed for errors that the network causes, DeviceLost for a lost device.

        Errors from any other code are bugs of this package or faults of the machine, which must not
        be recorded as bad networks.
        """
        try:
            yield
        except NetworkFailed:
            raise
        except Exception as error:
            failure = self._backend.failure(error)
            if failure is not None:
                raise failure from error
            if is_lost_device(error):
                log.warning("%s is lost", self._job.device, exc_info=error)
                raise DeviceLost(f"{self._job.device} was lost: {gist(error)}") from error
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self._training
        # What a lost device is asked for raises its error again.
        if not isinstance(error, DeviceLost):
            self._backend.release(self._job.device)
