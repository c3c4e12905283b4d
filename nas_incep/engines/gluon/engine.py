"""The engine on MXNet and Gluon; `engines.base.Engine` has the contract of its methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..._machine import FLOAT32
from ..._text import gist
from ...architecture import Architecture
from ...datasets import Images
from ...datasets.batches import Normalization
from ...errors import InputError
from ...zoo_network import AnyNetwork
from ..base import BaselineFacts, Evaluation, Job, NetworkFailed
from ..epochs import images_per_second
from ..faults import network_failure, raised_by
from ..initialization import LayerSpread
from ..session import Session
from . import runtime
from .baselines import build_baseline, check_baseline
from .first_step import first_step
from .forms import check_precision
from .loading import load_network
from .networks import build_network
from .resumable import ResumableTraining
from .runtime import context_of, device_name, is_out_of_memory, mx, release_memory
from .symbols import export_graph
from .training import evaluate


class GluonEngine:
    """MXNet on the CPU or on NVIDIA GPUs up to compute capability 8.9."""

    def resolve(self, device: str) -> str:
        return device_name(runtime.resolve_device(device))

    def check_precision(self, precision: str, device: str) -> None:
        check_precision(precision, context_of(device))

    def baseline_precision(self, precision: str) -> str:
        """Float32, because MXNet's automatic mixed precision slows a zoo's network down."""
        return FLOAT32

    def check_baseline(
        self, spec: str, classes: int, image_shape: tuple[int, int, int]
    ) -> BaselineFacts:
        return check_baseline(spec, classes, image_shape)

    def graph_of(self, spec: str) -> dict[str, Any]:
        return export_graph(spec)

    def count_gpus(self) -> int:
        return runtime.count_gpus()

    def threads(self) -> int:
        return runtime.threads()

    def start(self, job: Job) -> Session:
        return Session(self, job)

    def begin(self, job: Job) -> ResumableTraining:
        """See `engines.session.Backend`; likewise the next two."""
        return ResumableTraining(
            build(job),
            job.dataset,
            job.recipe,
            job.subject.seed,
            context_of(job.device),
            job.precision,
            job.spec or job.subject.name,
        )

    def failure(self, error: Exception) -> NetworkFailed | None:
        """MXNet cannot tell a wrong call of ours from a network that an operator refuses."""
        return network_failure(
            error,
            is_out_of_memory,
            lambda e: isinstance(e, mx.base.MXNetError) or raised_by(e, "mxnet", "gluoncv"),
        )

    def release(self, device: str) -> None:
        release_memory(context_of(device))

    def images_per_second(self, job: Job, seconds: float, ready: Callable[[], None]) -> float:
        return images_per_second(self.begin, job, 4, seconds, ready)

    def evaluate(
        self,
        network: AnyNetwork,
        weights: Path,
        images: Images,
        normalize: Normalization,
        device: str,
    ) -> Evaluation:
        context = context_of(device)
        loaded = load_network(network, weights, context)
        try:
            return evaluate(loaded, images, normalize, context)
        except mx.base.MXNetError as error:
            raise _cannot_compute(weights, error) from None

    def first_step(
        self,
        architecture: Architecture,
        images: np.ndarray,
        labels: np.ndarray,
        initializer: str,
        seed: int,
        device: str,
    ) -> tuple[float, tuple[LayerSpread, ...]]:
        place = context_of(device)
        try:
            return first_step(architecture, images, labels, initializer, seed, place)
        finally:
            release_memory(place)

    def load_network(self, network: AnyNetwork, weights: Path, ctx: Any = None) -> Any:
        return load_network(network, weights, ctx)

    def forward(
        self, network: AnyNetwork, weights: Path, device: str
    ) -> Callable[[np.ndarray], np.ndarray]:
        context = context_of(device)
        loaded = load_network(network, weights, context)
        loaded.hybridize()

        def outputs(images: np.ndarray) -> np.ndarray:
            try:
                scores = loaded(mx.nd.array(images, ctx=context)).asnumpy()
            except mx.base.MXNetError as error:
                raise _cannot_compute(weights, error) from None
            return np.asarray(scores)

        return outputs


def build(job: Job) -> Any:
    """The network of a job, before the initialization by its training."""
    subject, info = job.subject, job.dataset.info
    if subject.architecture is None:
        return build_baseline(job.spec or subject.name, len(info.classes), info.image_shape)
    return build_network(subject.architecture)


def _cannot_compute(weights: Path, error: Exception) -> InputError:
    return InputError(f"{weights}: cannot be evaluated: {gist(error)}")
