"""Training and evaluation of one network, independent of any search."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..._machine import FLOAT32
from ...datasets import Dataset, Images
from ...datasets.batches import Normalization, epoch_images, evaluation_batches, normalization
from ...recipe import Recipe, derive_seed
from ..base import Diverged, Evaluation
from ..epochs import Epochs, Sums, check_finite, never
from ..starting_values import starting_values
from .capture import Steps
from .feed import are_resident, feed_of, resident_bytes, to_device
from .flat import Flat, Optimizer
from .networks import BatchNorm
from .runtime import DTYPES, device_of, memory_of, torch

F: Any = torch.nn.functional

# For bundles. During training, evaluation uses the training batch size, which fits in memory.
EVALUATION_BATCH = 256
# On a GPU, the host reads the losses this many steps late and as often: reading empties its queue.
LOOK_EVERY = 16


def initialize(network: Any, initializer: str, seed: int, spec: str = "", classes: int = 0) -> None:
    """Sets every parameter and running statistic; equal seeds give the Gluon engine's values.

    `spec` names a baseline, `classes` is their number.
    """
    rules = getattr(network, "rules", {})  # of a zoo's network, which asks for particular values
    arrays = network.arrays()
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    for name, value in starting_values(shapes, rules, initializer, seed, spec, classes):
        arrays[name].copy_(torch.from_numpy(value))


class Training(Epochs):
    """One network in training, epoch by epoch.

    The seed, the number of the epoch, the parameters and the precision fully determine an epoch.
    `network` is a packed or a zoo's one; it has the parameters after the last whole epoch.
    """

    def __init__(
        self,
        network: Any,
        dataset: Dataset,
        recipe: Recipe,
        seed: int,
        device: str,
        precision: str = FLOAT32,
        spec: str = "",
    ) -> None:
        """`spec` names a baseline, whose parameters may be published ones."""
        self.dataset, self.recipe, self.seed, self.network = dataset, recipe, seed, network
        self.precision = precision
        self.device = device_of(device)
        classes = len(dataset.info.classes)
        initialize(network, recipe.initializer, derive_seed(seed, "init"), spec, classes)
        self.flat = Flat(network, self.device)
        count = len(dataset.train.labels)
        self.batch_size = min(recipe.batch_size, count)
        images = epoch_images(count, self.batch_size, recipe.images_per_epoch)
        self.steps_per_epoch = images // self.batch_size
        self.optimizer = Optimizer(recipe, self.flat.values, self.batch_size)
        self._on_gpu = self.device.type == "cuda"
        self._feed = feed_of(dataset, recipe, self.device)
        self._normalize = normalization(dataset)
        self._rates = torch.zeros(self.steps_per_epoch, device=self.device)
        self._at = torch.zeros(1, dtype=torch.int64, device=self.device)
        # The sum of the losses and the number of correct answers in this epoch.
        self._sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        self._statistics = _Statistics(network, self.batch_size, dataset.info.image_shape)
        self.steps = Steps(self.step, self._on_gpu, self._feed.on_device)

    def validate(self) -> Evaluation:
        return evaluate(
            self.network,
            self.dataset.validation,
            self._normalize,
            self.device,
            self.batch_size,
        )

    def train_epoch(self, should_stop: Callable[[int], Any] = never) -> Sums | None:
        steps = self.steps_per_epoch
        self.rewind(self.epoch)
        with self._statistics.as_in_pytorch():
            for step in range(1, steps + 1):
                self.steps.run()
                if step % LOOK_EVERY == 0 or not self._on_gpu:
                    loss = self.steps.look(self._sums)
                    check_finite(loss)
                    if should_stop(step * self.batch_size):
                        return None
        loss, correct = self._sums.tolist()
        check_finite(loss)
        if not torch.isfinite(self.flat.values).all():
            raise Diverged("a parameter is not finite")  # ReLU can hide it from the loss
        return loss, int(correct), steps * self.batch_size

    def rewind(self, epoch: int) -> None:
        """Makes the next step the first one of an epoch."""
        seed = derive_seed(self.seed, "epoch", epoch)
        torch.manual_seed(seed)  # for the masks of dropout
        steps, recipe = self.steps_per_epoch, self.recipe
        first, total = epoch * steps, recipe.epochs * steps
        rates = [recipe.learning_rate_at(first + step, total) for step in range(steps)]
        self._rates.copy_(torch.tensor(rates))
        self._feed.begin(seed)
        self.restart()
        self.network.train()

    def restart(self) -> None:
        """Makes the next step the first one of this epoch again."""
        self._at.zero_()
        self._sums.zero_()
        self._feed.restart()

    def step(self) -> None:
        """Trains on the next batch, wholly on the device, so that a CUDA graph can hold it."""
        images, labels = self._feed.next()
        with self._autocast():
            scores = self.network(images)
        losses = self.loss(scores.float(), labels)
        gradients = torch.autograd.grad(losses, self.flat.parameters, allow_unused=True)
        rate = self._rates.index_select(0, self._at)
        self.optimizer.step(self.flat.collect(gradients), rate)
        right = (scores.argmax(1) == labels).sum()
        self._sums.add_(torch.stack((losses.detach().double(), right.double())))
        self._at.add_(1)

    def loss(self, scores: Any, labels: Any) -> Any:
        """The sum of the losses of a batch: scores `(batch, classes)`, labels `(batch,)`."""
        return F.cross_entropy(scores, labels, reduction="sum")

    def _autocast(self) -> Any:
        dtype = DTYPES[self.precision]
        return torch.autocast(self.device.type, dtype, enabled=self.precision != FLOAT32)


class _Statistics:
    """Makes the running variances follow the biased variances of the batches, as Gluon's do.

    PyTorch's follow the unbiased ones, n / (n - 1) times as large for n values a channel. As n is
    the same in every batch, scaling the running variance before and after an epoch is enough.
    """

    def __init__(self, network: Any, batch_size: int, image_shape: tuple[int, ...]) -> None:
        self._layers = [layer for layer in network.modules() if isinstance(layer, BatchNorm)]
        self._factors: list[float] = []
        if self._layers:
            gamma = self._layers[0].gamma
            network.eval()
            with torch.no_grad():  # in evaluation no statistic changes
                network(torch.zeros(1, *image_shape, device=gamma.device, dtype=gamma.dtype))
            values = [batch_size * layer.count for layer in self._layers]
            self._factors = [n / (n - 1) if n > 1 else 1.0 for n in values]

    def as_in_pytorch(self) -> _Scaled:
        """A context in which the running variances are as PyTorch's layer keeps them."""
        return _Scaled([layer.running_var for layer in self._layers], self._factors)


class _Scaled:
    def __init__(self, variances: list[Any], factors: list[float]) -> None:
        self._variances, self._factors = variances, factors

    def __enter__(self) -> None:
        for variance, factor in zip(self._variances, self._factors):
            variance.mul_(factor)

    def __exit__(self, *error: object) -> None:
        for variance, factor in zip(self._variances, self._factors):
            variance.div_(factor)


def evaluate(
    network: Any, images: Images, normalize: Normalization, device: Any, batch_size: int
) -> Evaluation:
    """The accuracy and mean loss of a network on all `images`, in float32."""
    started = time.perf_counter()
    loss_sum, parts = torch.zeros((), dtype=torch.float64, device=device), []
    network.eval()
    with torch.inference_mode():
        for batch, labels in _batches(images, normalize, device, batch_size):
            scores = network(batch)
            # The images that fill up the last batch have the label -1.
            losses = F.cross_entropy(scores, labels, ignore_index=-1, reduction="sum")
            loss_sum.add_(losses.double())
            parts.append(scores.argmax(1) == labels)
    count = len(images.labels)
    right = torch.cat(parts)[:count].cpu().numpy()
    return Evaluation(right, loss_sum.item() / count, time.perf_counter() - started)


def _batches(
    images: Images, normalize: Normalization, device: Any, batch_size: int
) -> Iterator[tuple[Any, Any]]:
    """Normalized batches on the device, and their labels."""
    if device.type == "cuda" and are_resident(memory_of(device), images):
        pixels, labels = resident_bytes(images, device)
        scale, shift = (
            torch.from_numpy(value).to(device) for value in (normalize.scale, normalize.shift)
        )
        for start in range(0, len(labels), batch_size):
            batch = pixels[start : start + batch_size].float().mul_(scale).sub_(shift)
            batch = batch.contiguous(memory_format=torch.channels_last)
            yield batch, labels[start : start + batch_size]
        return
    for batch, numbers in evaluation_batches(images, min(batch_size, len(images.labels))):
        labels = torch.from_numpy(numbers.astype(np.int64)).to(device)
        yield to_device(batch, normalize, device), labels
