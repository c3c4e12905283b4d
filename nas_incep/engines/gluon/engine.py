"""The engine on MXNet and Gluon; `engines.base.Engine` has the contract of its methods."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...architecture import Architecture
from ...datasets import Images
from ...datasets.batches import Normalization
from ...errors import InputError
from ..base import Evaluation, Job, NetworkFailed
from ..session import Session
from . import runtime
from .baselines import build_baseline, parse_baseline
from .faults import failure
from .forms import check_precision
from .networks import build_network
from .resumable import ResumableTraining
from .runtime import context_of, device_name, mx, release_memory
from .training import evaluate
from .zoo import load_network


class GluonEngine:
    """MXNet on the CPU or on NVIDIA GPUs up to compute capability 8.9."""

    def resolve(self, device: str) -> str:
        return device_name(runtime.resolve_device(device))

    def check_precision(self, precision: str, device: str) -> None:
        check_precision(precision, context_of(device))

    def check_baseline(self, spec: str) -> None:
        parse_baseline(spec)

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
        )

    def failure(self, error: Exception) -> NetworkFailed | None:
        return failure(error)

    def release(self, device: str) -> None:
        release_memory(context_of(device))

    def images_per_second(self, job: Job, seconds: float, ready: Callable[[], None]) -> float:
        """Uses a learning rate of zero, so that nothing diverges, and at least four batches."""
        recipe = dataclasses.replace(
            job.recipe, images_per_epoch=4 * job.recipe.batch_size, learning_rate=0.0
        )
        training = self.begin(dataclasses.replace(job, recipe=recipe))
        training.train_epoch()
        ready()
        images, started = 0, time.perf_counter()
        while True:
            sums = training.train_epoch()
            assert sums is not None  # nothing stops it
            images += sums[2]
            taken = time.perf_counter() - started
            if taken > seconds:
                return images / taken

    def evaluate(
        self,
        architecture: Architecture,
        weights: Path,
        images: Images,
        normalize: Normalization,
        device: str,
    ) -> Evaluation:
        context = context_of(device)
        network = load_network(architecture, weights, context)
        try:
            return evaluate(network, images, normalize, context)
        except mx.base.MXNetError as error:
            reason = str(error).splitlines()[-1]
            raise InputError(f"{weights}: cannot be evaluated: {reason}") from None

    def load_network(self, architecture: Architecture, weights: Path, ctx: Any = None) -> Any:
        return load_network(architecture, weights, ctx)


def build(job: Job) -> Any:
    """The network of a job, before the initialization by its training."""
    subject, info = job.subject, job.dataset.info
    if subject.architecture is None:
        return build_baseline(subject.name, len(info.classes), info.image_shape)
    return build_network(subject.architecture)
