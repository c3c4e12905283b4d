"""Batches of images: shuffled, cropped and flipped a whole batch at a time."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .dataset import Dataset
from .formats import Images


@dataclass(frozen=True)
class Normalization:
    """Maps uint8 pixels to floats with mean 0 and deviation 1: `(pixel / 255 - mean) / std`."""

    mean: tuple[float, ...]  # one for each channel
    std: tuple[float, ...]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """`(n, channels, height, width)` uint8 to the same shape in float32."""
        out = images.astype(np.float32)
        out *= self.scale
        out -= self.shift
        return out

    @functools.cached_property
    def scale(self) -> np.ndarray:
        """The factor of each pixel, `(1, channels, 1, 1)` float32."""
        return (1 / (255 * np.array(self.std))).astype(np.float32).reshape(1, -1, 1, 1)

    @functools.cached_property
    def shift(self) -> np.ndarray:
        """The value that is then subtracted, `(1, channels, 1, 1)` float32."""
        shift = np.array(self.mean) / np.array(self.std)
        return shift.astype(np.float32).reshape(1, -1, 1, 1)


def normalization(dataset: Dataset) -> Normalization:
    return Normalization(dataset.mean, dataset.std)


@dataclass(frozen=True)
class Draw:
    """The images of a batch and how each is augmented; each array has the shape `(batch,)`."""

    chosen: np.ndarray  # indices of images
    top: np.ndarray  # first row of the crop, in the image padded with black
    left: np.ndarray  # first column
    flipped: np.ndarray  # whether the crop is then mirrored left to right


def draws(
    dataset: Dataset,
    batch_size: int,
    images: int | None,
    augment: bool,
    seed: int,
) -> Iterator[Draw]:
    """One epoch of training images in random order: `images` of them, or all if None.

    Every batch is full, so that a network sees only one shape: a remainder smaller than a batch is
    left out of this epoch.
    """
    count, padding = len(dataset.train.labels), dataset.info.crop_padding
    batch_size = min(batch_size, count)
    rng = np.random.Generator(np.random.PCG64(seed))
    order = rng.permutation(count)
    for start in range(0, epoch_images(count, batch_size, images), batch_size):
        top = left = np.full(batch_size, padding)
        flipped = np.zeros(batch_size, bool)
        if augment:
            top, left = rng.integers(0, 2 * padding + 1, size=(2, batch_size))
            if dataset.info.flip:
                flipped = rng.random(batch_size) < 0.5
        yield Draw(order[start : start + batch_size], top, left, flipped)


def training_batches(
    dataset: Dataset,
    batch_size: int,
    images: int | None,
    augment: bool,
    seed: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The batches of `draws`: uint8 images `(batch, channels, h, w)`, float32 labels `(batch,)`."""
    train, padding = dataset.train, dataset.info.crop_padding
    for draw in draws(dataset, batch_size, images, augment, seed):
        batch = train.images[draw.chosen]
        if augment:
            batch = flip(crop(batch, padding, draw.top, draw.left), draw.flipped)
        yield batch, train.labels[draw.chosen].astype(np.float32)


def epoch_images(count: int, batch_size: int, images: int | None) -> int:
    """The number of images in one epoch: whole batches only, and at least one."""
    batch_size = min(batch_size, count)
    wanted = count if images is None else min(images, count)
    return max(1, wanted // batch_size) * batch_size


def crop(batch: np.ndarray, padding: int, top: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Crops each image of `(batch, channels, h, w)` to its own size after padding it with black.

    `top` and `left`, `(batch,)`, are the first row and column in the padded image.
    """
    n, channels, height, width = batch.shape
    # Faster than np.pad.
    padded = np.zeros((n, channels, height + 2 * padding, width + 2 * padding), batch.dtype)
    padded[:, :, padding : padding + height, padding : padding + width] = batch
    windows: np.ndarray = sliding_window_view(padded, (height, width), (2, 3))  # type: ignore[call-overload]
    return windows[np.arange(n), :, top, left]


def flip(batch: np.ndarray, flipped: np.ndarray) -> np.ndarray:
    """Mirrors the images where `flipped`, `(batch,)`, is true, left to right; changes `batch`."""
    batch[flipped] = batch[flipped][:, :, :, ::-1]
    return batch


def max_pool_3x3(images: np.ndarray) -> np.ndarray:
    """3x3 max pooling with stride 1, which keeps the shape; uint8, `(.., height, width)`."""
    columns = images.copy()
    np.maximum(columns[..., 1:, :], images[..., :-1, :], out=columns[..., 1:, :])
    np.maximum(columns[..., :-1, :], images[..., 1:, :], out=columns[..., :-1, :])
    # With a zero after each row, all rows form one long row, on which numpy is fast.
    rows = np.zeros((*images.shape[:-1], images.shape[-1] + 1), images.dtype)
    rows[..., :-1] = columns
    line, pooled = rows.reshape(-1), rows.copy().reshape(-1)
    np.maximum(pooled[1:], line[:-1], out=pooled[1:])
    np.maximum(pooled[:-1], line[1:], out=pooled[:-1])
    return pooled.reshape(rows.shape)[..., :-1]


def evaluation_batches(images: Images, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All images in order, uint8; the last batch is filled up with black images of label -1."""
    count = len(images.labels)
    for start in range(0, count, batch_size):
        batch = images.images[start : start + batch_size]
        labels = images.labels[start : start + batch_size].astype(np.float32)
        missing = batch_size - len(labels)
        if missing:
            batch = np.pad(batch, ((0, missing), (0, 0), (0, 0), (0, 0)))
            labels = np.pad(labels, (0, missing), constant_values=-1)
        yield batch, labels
