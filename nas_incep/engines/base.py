"""The interface of an engine, which builds, trains and evaluates networks for a search.

An engine trains epoch by epoch; its caller decides whether to go on. It knows neither the study nor
the search, and its only callback asks whether to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..architecture import Architecture
from ..datasets import Dataset, Images
from ..datasets.batches import Normalization
from ..recipe import Recipe
from ..records import EpochResult, Subject
from ..zoo_network import AnyNetwork

if TYPE_CHECKING:
    from .initialization import LayerSpread


class NetworkFailed(Exception):
    """A failure of the network: it diverged, ran out of memory, or an operator refused it.

    `state` is one of the states of a record, `reason` a sentence. Faults of the engine, the machine
    or the study are not raised as NetworkFailed, as far as the framework lets them be told apart.
    """

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state, self.reason = state, reason


class Diverged(ArithmeticError):
    """A loss or a parameter of a training is no longer finite."""


@dataclass(frozen=True)
class Evaluation:
    """The result of a network on some images."""

    right: np.ndarray  # whether the network is right about each image, bool `(images,)`
    loss: float  # the mean cross-entropy
    seconds: float

    @property
    def correct(self) -> int:
        return int(self.right.sum())

    @property
    def images(self) -> int:
        return len(self.right)

    @property
    def accuracy(self) -> float:
        return self.correct / self.images


@dataclass(frozen=True)
class BaselineFacts:
    """What the check of a baseline tells."""

    signature: str  # which names of the same network share
    # Of its learning rate, see `rates.rate_scale`; None: it is not trained.
    scale: float | None


@dataclass(frozen=True)
class Job:
    """One training: the network, the data, the recipe and the device.

    Equal jobs give equal curves on the same kind of device with the same number of threads.
    """

    subject: Subject
    dataset: Dataset
    recipe: Recipe
    device: str  # cpu or gpu:K, as returned by `Engine.resolve`
    precision: str
    checkpoint: Path  # a folder for the engine; the training resumes from its contents
    spec: str = ""  # of a baseline: its name, behind the folder of a converted one
    deterministic: bool = False  # equal figures on a GPU, too
    # A file with a candidate's parameters to start from; None: from the recipe's initial values.
    start: Path | None = None


class Training(Protocol):
    """One network in training, started by `Engine.start`.

    `curve` holds the finished epochs, including those restored from a checkpoint. `parameters` and
    `macs` (for one image) are counted when the network is built.
    """

    curve: list[EpochResult]
    parameters: int
    macs: int

    @property
    def right(self) -> np.ndarray | None:
        """About which validation images the network was right after the last epoch: `(images,)`.

        Bool; None before an epoch of this process has ended.
        """
        ...

    def latency_ms(self) -> float:
        """Measures the milliseconds for one image, without changing the training."""
        ...

    def epochs(self, should_stop: Callable[[int], bool]) -> Iterator[EpochResult]:
        """Trains and evaluates epoch by epoch; writes the checkpoint after each but the last.

        The first point may be the last of a restored curve, whose epoch is already finished.
        `should_stop` is called regularly with the number of images trained so far in the epoch; if
        it returns true, the epoch is discarded and the iterator ends. Raises NetworkFailed.
        """
        ...

    def save(self, path: Path) -> None:
        """Writes the weights to `path` atomically. Raises OSError if they cannot be written."""
        ...


class Engine(Protocol):
    """The compute backend. `engines.load_engine` creates it and imports its framework."""

    def resolve(self, device: str) -> str:
        """The name of the device for `auto`, `cpu`, `cpu:K`, `gpu` or `gpu:K`, after a test of it.

        Raises InputError, which says in one sentence why it cannot be used.
        """
        ...

    def check_precision(self, precision: str, device: str) -> None:
        """Raises InputError if a resolved device cannot train in that precision."""
        ...

    def baseline_precision(self, precision: str) -> str:
        """The precision in which baselines are trained where candidates are in `precision`."""
        ...

    def check_baseline(
        self, spec: str, classes: int, image_shape: tuple[int, int, int]
    ) -> BaselineFacts:
        """What a baseline is, without training it.

        `spec` begins with a folder if the network is a converted one, `image_shape` is `(channels,
        height, width)`. Raises InputError if there is no network of that name, or if it does not
        fit the images; then it names the `@SIZE` that would fit.
        """
        ...

    def graph_of(self, spec: str) -> dict[str, Any]:
        """The graph of a baseline, as `zoo_network.ZooNetwork` has it.

        Raises InputError if there is no network of that name.
        """
        ...

    def count_gpus(self) -> int:
        """The number of working GPUs."""
        ...

    def threads(self) -> int:
        """The number of CPU threads that this process computes with."""
        ...

    def start(self, job: Job) -> AbstractContextManager[Training]:
        """Builds the network and restores its checkpoint; the context exit frees the memory.

        A damaged checkpoint is dropped, and the training starts over. Raises NetworkFailed, and
        DeviceLost like the methods of the training.
        """
        ...

    def images_per_second(self, job: Job, seconds: float, ready: Callable[[], None]) -> float:
        """The training speed without evaluation, in images per second, measured for `seconds`.

        `ready` is called when the network is compiled and the clock is about to start. Raises
        InputError if the memory is too small.
        """
        ...

    def evaluate(
        self,
        network: AnyNetwork,
        weights: Path,
        images: Images,
        normalize: Normalization,
        device: str,
    ) -> Evaluation:
        """Evaluates a file of weights on images. Raises InputError if it does not fit."""
        ...

    def first_step(
        self,
        architecture: Architecture,
        images: np.ndarray,
        labels: np.ndarray,
        initializer: str,
        seed: int,
        device: str,
    ) -> tuple[float, tuple[LayerSpread, ...]]:
        """The mean loss of a freshly initialized network, and the spread in each layer in order.

        The arguments are those of `engines.initialization.measure_spread`, which has checked them.
        """
        ...

    def load_network(self, network: AnyNetwork, weights: Path, ctx: Any = None) -> Any:
        """The framework's network with a file of weights, on the framework's device `ctx`.

        Raises InputError if they do not fit the network.
        """
        ...

    def forward(
        self, network: AnyNetwork, weights: Path, device: str
    ) -> Callable[[np.ndarray], np.ndarray]:
        """A network with a file of weights as a function of arrays, in float32.

        It maps normalized images `(batch, channels, height, width)` to outputs `(batch, classes)`.
        Raises InputError if the file does not fit; the function does, if it cannot compute.
        """
        ...
