"""The batches of an epoch on the device, from the same draws as the Gluon engine's.

On a GPU the images of the data set stay in its memory, as bytes, and so do the draws of the whole
epoch; a batch is cropped and flipped by one gather, and the host sends nothing at all.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...datasets import Dataset, Images
from ...datasets.batches import Normalization, draws, normalization, training_batches
from ...recipe import Recipe
from .runtime import memory_of, torch

LAST = torch.channels_last
# How much of a GPU's memory images may take: up to four workers share a GPU, each with its own.
RESIDENT_SHARE = 0.25


def are_resident(memory: int, *parts: Images, border: int = 0) -> bool:
    """Whether images, each with a border of so many pixels, may stay on a GPU with that memory.

    If not, batches are made on the host and sent, which is slower and cannot be a CUDA graph.
    """
    needed = 0
    for part in parts:
        count, channels, height, width = part.images.shape
        needed += count * channels * (height + 2 * border) * (width + 2 * border)
    return needed <= RESIDENT_SHARE * memory


def to_device(images: np.ndarray, normalize: Normalization, device: Any) -> Any:
    """Normalized images `(batch, channels, h, w)`, float32, with their channels last in memory."""
    return torch.from_numpy(normalize(images)).to(device, memory_format=LAST)


def feed_of(dataset: Dataset, recipe: Recipe, device: Any) -> HostFeed | DeviceFeed:
    """What makes the batches of a training on a device."""
    if device.type == "cuda":
        border = dataset.info.crop_padding
        if are_resident(memory_of(device), dataset.train, dataset.validation, border=border):
            return DeviceFeed(dataset, recipe, device)
    return HostFeed(dataset, recipe, device)


class HostFeed:
    """Batches made by numpy on the host, which is faster on a CPU."""

    on_device = False  # whether a CUDA graph can hold `next`

    def __init__(self, dataset: Dataset, recipe: Recipe, device: Any) -> None:
        self._dataset, self._recipe, self._device = dataset, recipe, device
        self._normalize = normalization(dataset)
        self._batches: Iterator[tuple[np.ndarray, np.ndarray]] = iter(())

    def begin(self, seed: int) -> None:
        """Starts an epoch."""
        recipe = self._recipe
        which = (recipe.batch_size, recipe.images_per_epoch, recipe.augment, seed)
        self._epoch = functools.partial(training_batches, self._dataset, *which)

    def restart(self) -> None:
        """Makes the next batch the first one of the epoch."""
        self._batches = self._epoch()

    def next(self) -> tuple[Any, Any]:
        """The next batch: images `(batch, channels, h, w)` and labels `(batch,)`."""
        images, labels = next(self._batches)
        return (
            to_device(images, self._normalize, self._device),
            torch.from_numpy(labels.astype(np.int64)).to(self._device),
        )


class DeviceFeed:
    """Batches gathered on the device.

    `next` reads and advances a counter on the device, so it can be captured in a CUDA graph.
    """

    on_device = True

    def __init__(self, dataset: Dataset, recipe: Recipe, device: Any) -> None:
        self._dataset, self._recipe = dataset, recipe
        self._images = resident_images(dataset, device)
        self._plan: Any = None
        self._at = torch.zeros(1, dtype=torch.int64, device=device)
        self._device = device

    def begin(self, seed: int) -> None:
        """Starts an epoch."""
        recipe = self._recipe
        steps = draws(
            self._dataset, recipe.batch_size, recipe.images_per_epoch, recipe.augment, seed
        )
        plan = np.stack(
            [np.stack([draw.chosen, draw.top, draw.left, draw.flipped]) for draw in steps]
        )
        plan = torch.from_numpy(plan.astype(np.int64)).to(self._device)
        if self._plan is None:
            self._plan = plan
        else:
            self._plan.copy_(plan)  # where a captured graph reads it

    def restart(self) -> None:
        """Makes the next batch the first one of the epoch."""
        self._at.zero_()

    def next(self) -> tuple[Any, Any]:
        """The next batch: images `(batch, channels, h, w)` and labels `(batch,)`."""
        chosen, top, left, flipped = self._plan.index_select(0, self._at)[0]
        self._at.add_(1)
        return self._images.batch(chosen, top, left, flipped)


class ResidentImages:
    """The training images of a data set on a device, uint8, each with a black border."""

    def __init__(self, dataset: Dataset, device: Any) -> None:
        images, padding = dataset.train.images, dataset.info.crop_padding
        border = (padding, padding)
        padded = np.pad(images.transpose(0, 2, 3, 1), ((0, 0), border, border, (0, 0)))
        self._pixels = torch.from_numpy(padded).to(device)
        self._labels = torch.from_numpy(dataset.train.labels.astype(np.int64)).to(device)
        height, width = images.shape[2:]
        self._rows = torch.arange(height, device=device)
        self._columns = torch.arange(width, device=device)
        normalize = normalization(dataset)
        self._scale, self._shift = (
            torch.from_numpy(values.reshape(-1)).to(device)
            for values in (normalize.scale, normalize.shift)
        )

    def batch(self, chosen: Any, top: Any, left: Any, flipped: Any) -> tuple[Any, Any]:
        """The normalized images `(batch, channels, h, w)` and the labels `(batch,)` of a draw."""
        rows = top[:, None] + self._rows
        last = len(self._columns) - 1
        columns = torch.where(flipped[:, None] > 0, last - self._columns, self._columns)
        columns = left[:, None] + columns
        pixels = self._pixels[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        images = pixels.float().mul_(self._scale).sub_(self._shift)
        return images.permute(0, 3, 1, 2), self._labels[chosen]


@functools.lru_cache(maxsize=1)
def resident_images(dataset: Dataset, device: Any) -> ResidentImages:
    """The images of a data set on a device; kept, because a worker trains many networks on them."""
    return ResidentImages(dataset, device)


@functools.lru_cache(maxsize=2)
def resident_bytes(images: Images, device: Any) -> tuple[Any, Any]:
    """Images as bytes `(n, channels, h, w)` and labels `(n,)` on a device; kept likewise."""
    return (
        torch.from_numpy(images.images).to(device),
        torch.from_numpy(images.labels.astype(np.int64)).to(device),
    )
