"""How far the two engines are apart when they compute the same.

Differences are Euclidean norms over all arrays of a network together, relative to another norm.
`benchmarks/equality.py` prints the figures.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas_incep.architecture import Architecture
from nas_incep.datasets import Dataset, DatasetInfo, Images
from nas_incep.datasets.batches import normalization, training_batches
from nas_incep.engines import load_engine
from nas_incep.engines.base import Job
from nas_incep.engines.gluon.networks import build_network
from nas_incep.engines.gluon.runtime import mx
from nas_incep.engines.gluon.training import _optimizer, initialize
from nas_incep.engines.torch.flat import Flat, Optimizer
from nas_incep.engines.torch.packed import PackedNetwork
from nas_incep.engines.torch.resumable import set_arrays
from nas_incep.engines.torch.training import _Statistics
from nas_incep.engines.torch.training import initialize as initialize_torch
from nas_incep.recipe import Recipe
from nas_incep.records import CANDIDATE, EpochResult, Subject
from nas_incep.stages import STATISTIC_KINDS

Arrays = Mapping[str, np.ndarray]
# Every optimizer, as a recipe has it, with rates at which the networks learn.
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.05},
    "nag": {"optimizer": "nag", "learning_rate": 0.05},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "adadelta": {"optimizer": "adadelta", "decay": 0.9, "weight_decay": 1e-4},
    "rmsprop": {"optimizer": "rmsprop", "learning_rate": 0.003},
}
# A bias before a normalization, whose gradient is zero in exact arithmetic. What rounding leaves of
# it, Adam and RMSProp turn into whole steps, and the running mean behind it follows them. What the
# network computes in training does not depend on it.
NO_CONSEQUENCE = ("output.0.conv1.bias", "output.0.bn2.running_mean")
ENGINES = ("gluon", "torch")


def difference(one: Arrays, other: Arrays, scale: Arrays | None = None) -> float:
    """Of two engines' arrays, relative to the norm of the first one's, or of `scale`'s."""
    found = _norm(one[name] - other[name] for name in one)
    return found / _norm((scale or one)[name] for name in one) if found else 0.0


def _norm(arrays: Iterable[np.ndarray]) -> float:
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays))


def after_training(
    architecture: Architecture, data: Dataset, recipe: Recipe, in_double: bool = False
) -> tuple[float, float]:
    """How far apart the engines' parameters, and their statistics, are after an epoch.

    Both are relative to the change that the epoch has made.
    """
    train = after_steps_in_double if in_double else after_steps
    (start, one), (same, other) = (train(engine, architecture, data, recipe) for engine in ENGINES)
    assert all(np.array_equal(start[name], same[name]) for name in start)
    return apart(start, one, other)


def apart(start: Arrays, one: Arrays, other: Arrays) -> tuple[float, float]:
    """The differences of parameters and of statistics, relative to the change from the start.

    The bias of no consequence and the mean that follows it are left out.
    """
    change = {name: one[name] - start[name] for name in start}
    kept = {name: value for name, value in one.items() if name not in NO_CONSEQUENCE}
    parameters = {k: v for k, v in kept.items() if not k.endswith(STATISTIC_KINDS)}
    running = {k: v for k, v in kept.items() if k.endswith(STATISTIC_KINDS)}
    return difference(parameters, other, change), difference(running, other, change)


def random_data(shape: tuple[int, int, int], classes: int, images: int = 64) -> Dataset:
    """Images of noise with random labels, of which half can be flipped."""
    rng = np.random.default_rng(0)
    info = DatasetInfo(
        "noise", "noise", tuple(map(str, range(classes))), shape, True, 1, images // 2
    )
    parts = [
        Images(
            rng.integers(0, 256, (count, *shape), np.uint8),
            rng.integers(0, classes, count).astype(np.int32),
        )
        for count in (images, images // 2)
    ]
    spread = (0.5,) * shape[0], (0.29,) * shape[0]
    return Dataset(info, *parts, "noise", None, *spread, ())


def in_training(
    engine: str, architecture: Architecture, arrays: Arrays, images: np.ndarray
) -> tuple[np.ndarray, Arrays]:
    """The outputs of an engine's network in training mode, and the gradients of their weighted sum.

    All is computed in the type of `images`. Gluon's network is the plain one here, whose packed
    form has tests of its own.
    """
    weights = np.random.default_rng(1).standard_normal((len(images), architecture.classes))
    compute = {"gluon": _in_gluon, "torch": _in_torch}[engine]
    return compute(architecture, arrays, images, weights.astype(images.dtype))


def _in_gluon(
    architecture: Architecture, arrays: Arrays, images: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, Arrays]:
    network = build_network(architecture)
    initialize(network, "xavier", 0, architecture.input_shape, mx.cpu())
    network.cast(images.dtype.name)
    named = network._collect_params_with_prefix()
    for name, parameter in named.items():
        parameter.set_data(mx.nd.array(arrays[name], dtype=images.dtype))
    with mx.autograd.record():
        scores = network(mx.nd.array(images, dtype=images.dtype))
        (scores * mx.nd.array(weights, dtype=images.dtype)).sum().backward()
    trained = {name: p for name, p in named.items() if p.grad_req != "null"}
    return scores.asnumpy(), {name: p.grad().asnumpy() for name, p in trained.items()}


def _in_torch(
    architecture: Architecture, arrays: Arrays, images: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, Arrays]:
    packed = PackedNetwork(architecture)
    set_arrays(packed, dict(arrays))
    pixels = torch.from_numpy(images)
    scores = packed.to(pixels.dtype).train()(pixels)
    (scores * torch.from_numpy(weights)).sum().backward()
    found = {
        name: getattr(module, array).grad[start:end].numpy()
        for module in packed.modules()
        for name, array, start, end in getattr(module, "parts", ())
        if not name.endswith(STATISTIC_KINDS)
    }
    return scores.detach().numpy(), found


def after_steps(
    engine: str, architecture: Architecture, data: Dataset, recipe: Recipe
) -> tuple[Arrays, Arrays]:
    """All arrays before and after an epoch of the engine's own training, in float32."""
    subject = Subject(CANDIDATE, 0, architecture.identity, 1, architecture)
    backend: Any = load_engine(engine)
    training = backend.begin(Job(subject, data, recipe, "cpu", "float32", Path()))
    before = {name: array.copy() for name, array in training.parameters().items()}
    training.run_epoch()
    return before, training.parameters()


def after_steps_in_double(
    engine: str, architecture: Architecture, data: Dataset, recipe: Recipe, shaken: float = 0.0
) -> tuple[Arrays, Arrays]:
    """Likewise in float64: the engine's network and optimizer on the same batches.

    With `shaken` the parameters deviate by so much of themselves before the first step (PyTorch).
    """
    normalize = normalization(data)
    batches = [
        (normalize(images).astype(np.float64), labels)
        for images, labels in training_batches(
            data, recipe.batch_size, recipe.images_per_epoch, recipe.augment, 0
        )
    ]
    begin = {"gluon": _gluon_in_double, "torch": _torch_in_double}[engine]
    with begin(architecture, recipe, shaken) as (step, arrays):
        before = arrays()
        for number, (images, labels) in enumerate(batches):
            step(images, labels, recipe.learning_rate_at(number, len(batches)))
        return before, arrays()


Double = tuple[Callable[[np.ndarray, np.ndarray, float], None], Callable[[], Arrays]]


def optimizer_in_double(recipe: Recipe, **more: Any) -> Any:
    """MXNet's optimizer of a recipe, all of whose states are of the weight's type."""
    name, arguments = _optimizer(recipe)
    optimizer = mx.optimizer.create(name, **arguments, **more)
    create = optimizer.create_state

    def create_state(index: int, weight: Any) -> Any:
        state = create(index, weight)
        if isinstance(state, tuple):
            return tuple(part.astype(weight.dtype) for part in state)
        return state.astype(weight.dtype)

    optimizer.create_state = create_state
    return optimizer


@contextmanager
def _gluon_in_double(architecture: Architecture, recipe: Recipe, shaken: float) -> Iterator[Double]:
    network = build_network(architecture)
    initialize(network, recipe.initializer, 1, architecture.input_shape, mx.cpu())
    network.cast("float64")
    optimizer = optimizer_in_double(recipe)
    trainer = mx.gluon.Trainer(network.collect_params(), optimizer)
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()

    def step(images: np.ndarray, labels: np.ndarray, rate: float) -> None:
        trainer.set_learning_rate(rate)
        with mx.autograd.record():
            losses = loss(network(mx.nd.array(images, dtype="float64")), mx.nd.array(labels))
        losses.backward()
        trainer.step(len(labels))

    named = network._collect_params_with_prefix()
    yield step, lambda: {name: p.data().asnumpy() for name, p in named.items()}


@contextmanager
def _torch_in_double(architecture: Architecture, recipe: Recipe, shaken: float) -> Iterator[Double]:
    torch.set_default_dtype(torch.float64)
    try:
        network = PackedNetwork(architecture)
        initialize_torch(network, recipe.initializer, 1)
        flat = Flat(network, torch.device("cpu"))
        noise = torch.Generator().manual_seed(1)
        flat.values.mul_(1 + shaken * torch.randn(flat.values.shape, generator=noise))
        optimizer = Optimizer(recipe, flat.values, recipe.batch_size)
        variances = _Statistics(network, recipe.batch_size, architecture.input_shape)

        def step(images: np.ndarray, labels: np.ndarray, rate: float) -> None:
            network.train()
            with variances.as_in_pytorch():
                scores = network(torch.from_numpy(images))
                losses = torch.nn.functional.cross_entropy(
                    scores, torch.from_numpy(labels.astype(np.int64)), reduction="sum"
                )
                gradients = torch.autograd.grad(losses, flat.parameters, allow_unused=True)
            optimizer.step(flat.collect(gradients), torch.tensor([rate]))

        yield step, lambda: {k: v.numpy().copy() for k, v in network.arrays().items()}
    finally:
        torch.set_default_dtype(torch.float32)


def curve(
    engine: str, architecture: Architecture, data: Dataset, recipe: Recipe, seed: int
) -> list[EpochResult]:
    """The learning curve of the engine's own training."""
    subject = Subject(CANDIDATE, 0, architecture.identity, seed, architecture)
    backend: Any = load_engine(engine)
    training = backend.begin(Job(subject, data, recipe, "cpu", "float32", Path()))
    return [training.run_epoch() for _ in range(recipe.epochs)]


def between(one: list[EpochResult], other: list[EpochResult], field: str) -> float:
    """The mean distance of two curves."""
    return statistics.mean(abs(getattr(p, field) - getattr(q, field)) for p, q in zip(one, other))
