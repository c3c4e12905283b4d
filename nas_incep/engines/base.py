"""The boundary of an engine: what a search asks of whatever builds, trains and evaluates networks.

An engine goes forward, epoch by epoch; whoever holds it decides. It knows neither the study nor the
search, and calls back for one thing alone: whether to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..architecture import Architecture
from ..datasets import Dataset, Images
from ..datasets.batches import Normalization
from ..recipe import Recipe
from ..records import EpochResult, Subject


class NetworkFailed(Exception):
    """A network's own end: it diverged, it does not fit the memory, an operator refuses it.

    `state` is one of the states of a record, `reason` a sentence. A fault of the engine itself, of
    the machine or of the study is never raised as this.
    """

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state, self.reason = state, reason


@dataclass(frozen=True)
class Evaluation:
    """How a network does on some images."""

    correct: int
    images: int
    loss: float  # the mean cross-entropy
    seconds: float

    @property
    def accuracy(self) -> float:
        return self.correct / self.images


@dataclass(frozen=True)
class Job:
    """One training: the network, the data, the recipe, and with what it is computed.

    Equal jobs give equal curves on one kind of device and one number of threads.
    """

    subject: Subject
    dataset: Dataset
    recipe: Recipe
    device: str  # cpu, gpu:K: as `Engine.resolve` gives it
    precision: str
    checkpoint: Path  # a folder of the engine's own; the training goes on from what it holds


class Training(Protocol):
    """One network in training, begun by `Engine.start`.

    `curve` holds the finished epochs, those restored from a checkpoint among them. `parameters` and
    `macs` are the network's own, counted when it was built.
    """

    curve: list[EpochResult]
    parameters: int
    macs: int

    def latency_ms(self) -> float:
        """Milliseconds for one image, measured; the training is left as it was."""
        ...

    def epochs(self, should_stop: Callable[[int], bool]) -> Iterator[EpochResult]:
        """Trains and evaluates epoch by epoch; after each but the last the checkpoint is written.

        The first point may be a restored one, whose epoch was finished before. `should_stop` is
        asked now and then, with the number of images trained on so far in the epoch; where it says
        yes, the epoch is left without a trace and the iterator ends. Raises NetworkFailed.
        """
        ...

    def save(self, path: Path) -> None:
        """Writes the parameters in one step. Raises OSError where the disk does not take them."""
        ...


class Engine(Protocol):
    """What computes. Made by `engines.load_engine`, which imports its framework."""

    name: str

    def resolve(self, device: str) -> str:
        """The device for `auto`, `cpu`, `cpu:K`, `gpu` or `gpu:K`, tried out.

        Raises InputError saying in one sentence why it cannot be used.
        """
        ...

    def check_precision(self, precision: str, device: str) -> None:
        """Raises InputError where a resolved device cannot train in that precision."""
        ...

    def check_baseline(self, spec: str) -> None:
        """Raises InputError where there is no network of that name and size."""
        ...

    def count_gpus(self) -> int:
        """How many GPUs work; 0 where there is none."""
        ...

    def threads(self) -> int:
        """The CPU threads that this process computes with."""
        ...

    def start(self, job: Job) -> AbstractContextManager[Training]:
        """Builds the network and restores its checkpoint; memory is given back at the end.

        A damaged checkpoint is dropped, and the training begun anew. Raises NetworkFailed.
        """
        ...

    def images_per_second(self, job: Job, seconds: float, ready: Callable[[], None]) -> float:
        """Training images a second, evaluation apart, over so many seconds.

        `ready` is called when the network is compiled and the clock is about to start.
        """
        ...

    def evaluate(
        self,
        architecture: Architecture,
        weights: Path,
        images: Images,
        normalize: Normalization,
        device: str,
    ) -> Evaluation:
        """How saved parameters do on images. Raises InputError where they do not fit."""
        ...

    def load_network(self, architecture: Architecture, weights: Path, ctx: Any = None) -> Any:
        """The framework's own network with saved parameters. Raises InputError."""
        ...
