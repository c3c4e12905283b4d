"""The engine on PyTorch; `engines.base.Engine` has the contract of its methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..._machine import FLOAT16, FLOAT32
from ..._text import gist
from ...architecture import Architecture
from ...datasets import Images
from ...datasets.batches import Normalization
from ...errors import InputError
from ...zoo_network import AnyNetwork
from ..base import BaselineFacts, Evaluation, Job, NetworkFailed
from ..epochs import images_per_second
from ..faults import network_failure, raised_by, raised_by_builtin
from ..initialization import LayerSpread
from ..session import Session
from ..weights import read_arrays, read_weights
from . import runtime
from .baselines import build_baseline, check_baseline, find_graph, network_of
from .first_step import first_step
from .graph import GraphNetwork
from .networks import build_network
from .packed import PackedNetwork
from .resumable import ResumableTraining, set_arrays
from .runtime import device_of, is_out_of_memory, release_memory, torch
from .training import EVALUATION_BATCH, evaluate


class TorchEngine:
    """PyTorch on the CPU or on any GPU that it supports."""

    def resolve(self, device: str) -> str:
        return runtime.resolve_device(device)

    def check_precision(self, precision: str, device: str) -> None:
        runtime.check_precision(precision, device)

    def baseline_precision(self, precision: str) -> str:
        """Float32 instead of float16, whose narrow range a zoo's deep network may leave."""
        return FLOAT32 if precision == FLOAT16 else precision

    def check_baseline(
        self, spec: str, classes: int, image_shape: tuple[int, int, int]
    ) -> BaselineFacts:
        return check_baseline(spec, classes, image_shape)

    def graph_of(self, spec: str) -> dict[str, Any]:
        return find_graph(spec)

    def count_gpus(self) -> int:
        return runtime.count_gpus()

    def threads(self) -> int:
        return runtime.threads()

    def start(self, job: Job) -> Session:
        return Session(self, job)

    def begin(self, job: Job) -> ResumableTraining:
        """See `engines.session.Backend`; likewise the next two."""
        runtime.set_determinism(job.deterministic, job.device)
        return ResumableTraining(
            _build(job),
            job.dataset,
            job.recipe,
            job.subject.seed,
            job.device,
            job.precision,
            job.spec or job.subject.name,
        )

    def failure(self, error: Exception) -> NetworkFailed | None:
        return network_failure(error, is_out_of_memory, _is_refusal)

    def release(self, device: str) -> None:
        release_memory(device)

    def images_per_second(self, job: Job, seconds: float, ready: Callable[[], None]) -> float:
        return images_per_second(self.begin, job, 32, seconds, ready)

    def evaluate(
        self,
        network: AnyNetwork,
        weights: Path,
        images: Images,
        normalize: Normalization,
        device: str,
    ) -> Evaluation:
        place = device_of(device)
        loaded = self.load_network(network, weights, place)
        try:
            return evaluate(loaded, images, normalize, place, EVALUATION_BATCH)
        except RuntimeError as error:
            raise InputError(f"{weights}: cannot be evaluated: {gist(error)}") from None

    def first_step(
        self,
        architecture: Architecture,
        images: np.ndarray,
        labels: np.ndarray,
        initializer: str,
        seed: int,
        device: str,
    ) -> tuple[float, tuple[LayerSpread, ...]]:
        place = device_of(device)
        try:
            return first_step(architecture, images, labels, initializer, seed, place)
        finally:
            release_memory(device)

    def load_network(self, network: AnyNetwork, weights: Path, ctx: Any = None) -> Any:
        """`ctx` is a torch.device or its name, by default the CPU."""
        if isinstance(network, Architecture):
            built = build_network(network)
            arrays = read_weights(network, weights)
        else:
            built = network_of(network, str(weights.parent))
            shapes = {name: tuple(array.shape) for name, array in built.arrays().items()}
            arrays = read_arrays(weights, shapes, network.name)
        set_arrays(built, arrays)
        return built.to(torch.device(ctx or "cpu")).eval()

    def forward(
        self, network: AnyNetwork, weights: Path, device: str
    ) -> Callable[[np.ndarray], np.ndarray]:
        place = device_of(device)
        loaded = self.load_network(network, weights, place)

        def outputs(images: np.ndarray) -> np.ndarray:
            try:
                with torch.inference_mode():
                    scores = loaded(torch.from_numpy(images).to(place)).cpu().numpy()
            except RuntimeError as error:
                raise InputError(f"{weights}: cannot be evaluated: {gist(error)}") from None
            return np.asarray(scores)

        return outputs


def _build(job: Job) -> PackedNetwork | GraphNetwork:
    subject, info = job.subject, job.dataset.info
    if subject.architecture is None:
        return build_baseline(job.spec or subject.name, len(info.classes), info.image_shape)
    return PackedNetwork(subject.architecture)


def _is_refusal(error: Exception) -> bool:
    """Whether PyTorch has raised an error: in Python, or in an operator that a module here called.

    As with MXNet, a network that an operator refuses looks like a wrong call of ours.
    """
    ours = __name__.rpartition(".")[0]
    raised = raised_by(error, "torch") or raised_by_builtin(error, ours)
    return isinstance(error, RuntimeError) and raised
