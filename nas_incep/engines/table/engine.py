"""The table engine: `engines.base.Engine` over a file of learning curves, without a framework.

A search over it is the real search: the same sampler, study, workers and records, in a fraction of
the time. It returns only recorded values and never makes up missing ones. Of a network with several
curves, the seed of a training decides which one it gets.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..._files import atomic_file, read_json, write_json
from ..._text import counted
from ...architecture import Architecture
from ...datasets import Images
from ...datasets.batches import Normalization
from ...errors import InputError
from ...records import FAILED, EpochResult
from ...zoo_network import AnyNetwork
from ..base import BaselineFacts, Evaluation, Job, NetworkFailed
from ..initialization import LayerSpread
from .table import Curve, Network, Table

# How often `should_stop` is called per epoch.
LOOKS = 4


class TableEngine:
    """An engine that returns the curves of a table; `engines.base.Engine` has the contract."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def resolve(self, device: str) -> str:
        if device.partition(":")[0] not in ("auto", "cpu"):
            raise InputError(f"--device {device}: a table needs no device; auto or cpu is expected")
        return "cpu"

    def check_precision(self, precision: str, device: str) -> None:
        if precision != "float32":
            raise InputError(f"--precision {precision}: a table has only float32")

    def baseline_precision(self, precision: str) -> str:
        return precision

    def check_baseline(
        self, spec: str, classes: int, image_shape: tuple[int, int, int]
    ) -> BaselineFacts:
        if spec not in self._table.networks:
            raise InputError(f"baseline {spec}: {self._table.source} has no curve of it")
        return BaselineFacts(spec, None)

    def graph_of(self, spec: str) -> dict[str, Any]:
        raise InputError("a table has no networks, so there is no graph")

    def count_gpus(self) -> int:
        return 0

    def threads(self) -> int:
        return 1

    def start(self, job: Job) -> TableTraining:
        source, name = self._table.source, job.subject.name
        if job.start:
            raise InputError("a table has no parameters, so there is nothing to start from")
        found = self._table.networks.get(name)
        if found is None:
            raise NetworkFailed(FAILED, f"{source} has no curve of {name}")
        curve = found.curves[job.subject.seed % len(found.curves)]
        if len(curve) < job.recipe.epochs:
            raise InputError(
                f"{source}: the curve of {name} has {counted(len(curve), 'epoch')}, "
                f"the recipe {job.recipe.epochs}"
            )
        return TableTraining(job, found, curve, self._table.epoch_seconds)

    def images_per_second(self, job: Job, seconds: float, ready: Callable[[], None]) -> float:
        raise InputError("a table trains nothing, so there is no speed to measure")

    def evaluate(
        self,
        network: AnyNetwork,
        weights: Path,
        images: Images,
        normalize: Normalization,
        device: str,
    ) -> Evaluation:
        raise InputError("a table has no parameters, so there is nothing to evaluate")

    def first_step(
        self,
        architecture: Architecture,
        images: np.ndarray,
        labels: np.ndarray,
        initializer: str,
        seed: int,
        device: str,
    ) -> tuple[float, tuple[LayerSpread, ...]]:
        raise InputError("a table has no network, so there is nothing to measure")

    def load_network(self, network: AnyNetwork, weights: Path, ctx: Any = None) -> Any:
        raise InputError("a table has no parameters, so there is no network to load")

    def forward(
        self, network: AnyNetwork, weights: Path, device: str
    ) -> Callable[[np.ndarray], np.ndarray]:
        raise InputError("a table has no parameters, so there is no network to load")


class TableTraining:
    """A training that is looked up in the table; `engines.base.Training` has the contract."""

    def __init__(
        self, job: Job, found: Network, curve: Curve, epoch_seconds: float, resumable: bool = True
    ) -> None:
        """Follows a curve of the network; checkpoints are written only if it is `resumable`."""
        self._job, self._epoch_seconds, self._resumable = job, epoch_seconds, resumable
        self._points = list(curve[: job.recipe.epochs])
        self._latency = found.latency_ms
        self.right = None
        if found.answers and len(self._points) == len(curve):
            which = next(k for k, each in enumerate(found.curves) if each is curve)
            self.right = found.answers[which].to_array()
        self.parameters, self.macs = found.parameters, found.macs
        self._done = job.checkpoint / "curve.json"
        self.curve = self._points[: self._finished_epochs()]

    def _finished_epochs(self) -> int:
        """How many epochs the checkpoint tells of; a damaged one is dropped."""
        if not self._done.exists():
            return 0
        try:
            value = read_json(self._done, regular=True)
            epochs = value["epochs"] if isinstance(value, dict) else None
        except (InputError, KeyError):
            epochs = None
        if type(epochs) is int and 0 < epochs < len(self._points):
            return epochs
        shutil.rmtree(self._job.checkpoint, ignore_errors=True)
        return 0

    def latency_ms(self) -> float:
        if self._latency is None:
            raise InputError(f"the table has no latency of {self._job.subject.name}")
        return self._latency

    def epochs(self, should_stop: Callable[[int], bool]) -> Iterator[EpochResult]:
        yield from self.curve[-1:]
        for point in self._points[len(self.curve) :]:
            for look in range(1, LOOKS + 1):
                if self._epoch_seconds:  # a sleep of no time waits for other processes
                    time.sleep(self._epoch_seconds / LOOKS)
                if should_stop(point.images * look // LOOKS):
                    return
            self.curve.append(point)
            if self._resumable and len(self.curve) < len(self._points):
                self._done.parents[1].mkdir(exist_ok=True)
                write_json(self._done, {"epochs": len(self.curve)})
            yield point

    def save(self, path: Path) -> None:
        with atomic_file(path) as temporary:
            temporary.write_text("answered from a table: there are no parameters\n")

    def __enter__(self) -> TableTraining:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None
