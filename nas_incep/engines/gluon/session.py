"""A training for a search: checkpoints between epochs, and errors attributed to the network."""

from __future__ import annotations

import errno
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from ...records import DIVERGED, FAILED, OUT_OF_MEMORY, EpochResult
from ..base import Job, NetworkFailed
from .baselines import build_baseline
from .checkpoint import (
    CURVE,
    drop_checkpoint,
    restore_checkpoint,
    save_checkpoint,
    save_parameters,
)
from .latency import measure_latency
from .networks import build_network, count_macs, count_parameters
from .runtime import context_of, is_out_of_memory, mx, release_memory
from .training import Diverged, Training

log = logging.getLogger(__name__)

# What CUDA says of a device that only a new process can use again.
_LOST_DEVICE = (
    "illegal memory access",
    "device-side assert",
    "unspecified launch failure",
    "uncorrectable ecc error",
    "gpu is lost",
)


class Session:
    """The training of `GluonEngine.start`; `engines.base.Training` has its contract."""

    def __init__(self, job: Job) -> None:
        self._job, self._context = job, context_of(job.device)
        self.curve: list[EpochResult] = []
        try:
            with _network_faults():
                self._training = self._begin()
                if (job.checkpoint / CURVE).exists():
                    self._restore()
                self._count()
        except NetworkFailed as failure:
            # The frames of the traceback hold arrays of what was built so far.
            for error in (failure, failure.__cause__):
                traceback.clear_frames(error.__traceback__ if error else None)
            self.__dict__.pop("_training", None)
            release_memory(self._context)
            raise

    def _count(self) -> None:
        network = self._training.network
        self.parameters = count_parameters(network)
        self.macs = count_macs(network, self._job.dataset.info.image_shape)

    def _begin(self) -> Training:
        job = self._job
        return Training(
            build(job), job.dataset, job.recipe, job.subject.seed, self._context, job.precision
        )

    def _restore(self) -> None:
        """Resumes from the checkpoint, or starts over if it is damaged."""
        try:
            self.curve = restore_checkpoint(self._training, self._job.checkpoint)
            return
        except Exception as error:
            if is_out_of_memory(error) or _is_transient(error):
                raise
            log.warning("%s is dropped: %s", self._job.checkpoint, str(error))
        # Outside the except block, where the exception would keep the first network alive.
        del self._training
        release_memory(self._context)
        drop_checkpoint(self._job.checkpoint)
        self._training = self._begin()

    def latency_ms(self) -> float:
        shape = self._job.dataset.info.image_shape
        with _network_faults():
            return measure_latency(self._training.network, shape, self._context)

    def epochs(self, should_stop: Callable[[int], bool]) -> Iterator[EpochResult]:
        training, curve = self._training, self.curve
        yield from curve[-1:]
        while training.epoch < self._job.recipe.epochs:
            with _network_faults():
                point = training.run_epoch(should_stop)
            if point is None:
                return
            curve.append(point)
            if training.epoch < self._job.recipe.epochs:
                with _network_faults():
                    save_checkpoint(training, self._job.checkpoint, curve)
            yield point

    def save(self, path: Path) -> None:
        with _network_faults():
            save_parameters(self._training.network, path)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self._training
        release_memory(self._context)


def build(job: Job) -> Any:
    """The network of a job, before the initialization by its training."""
    subject, info = job.subject, job.dataset.info
    if subject.architecture is None:
        return build_baseline(subject.name, len(info.classes), info.image_shape)
    return build_network(subject.architecture)


@contextmanager
def _network_faults() -> Iterator[None]:
    """Raises NetworkFailed for errors that the network causes.

    Those are the ones that MXNet or GluonCV raises, apart from a lost device. MXNet cannot tell a
    wrong call of ours from a network that an operator refuses. Errors from any other code are bugs
    of this package or faults of the machine, which must not be recorded as bad networks.
    """
    try:
        yield
    except Diverged as error:
        raise NetworkFailed(DIVERGED, str(error)) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise NetworkFailed(OUT_OF_MEMORY, "the device's memory is full") from error
        if not isinstance(error, OSError) and _is_of_framework(error):
            raise NetworkFailed(FAILED, f"{type(error).__name__}: {_last_line(error)}") from error
        raise


def _is_transient(error: Exception) -> bool:
    """Whether the system could not read a file that may well be sound."""
    cause = error if isinstance(error, OSError) else error.__context__
    return isinstance(cause, OSError) and cause.errno not in (None, errno.ENOENT)


def _is_of_framework(error: BaseException) -> bool:
    """Whether an exception was raised by MXNet or GluonCV, on a device that still works."""
    if any(sign in str(error).lower() for sign in _LOST_DEVICE):
        return False
    if isinstance(error, mx.base.MXNetError):
        return True
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    name = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    return name.partition(".")[0] in ("mxnet", "gluoncv")


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
