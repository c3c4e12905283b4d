"""Batches of images: shuffled, cropped and flipped a whole batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .data import Dataset, Images


@dataclass(frozen=True)
class Normalisation:
    """From uint8 pixels to floats of mean 0 and deviation 1: `(pixel / 255 - mean) / std`."""

    mean: tuple[float, ...]  # one for each channel
    std: tuple[float, ...]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """`(n, channels, height, width)` uint8 to the same shape in float32."""
        shape = (1, -1, 1, 1)
        scale = (1 / (255 * np.array(self.std))).astype(np.float32).reshape(shape)
        shift = (np.array(self.mean) / np.array(self.std)).astype(np.float32).reshape(shape)
        out = images.astype(np.float32)
        out *= scale
        out -= shift
        return out


def normalisation(dataset: Dataset) -> Normalisation:
    return Normalisation(dataset.mean, dataset.std)


def training_batches(
    dataset: Dataset,
    batch_size: int,
    images: int | None,
    augment: bool,
    seed: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One epoch of uint8 images `(batch, channels, height, width)` and float32 labels `(batch,)`.

    Takes `images` of the training images in random order (None: all). Every batch is full, so that
    a network sees one shape: a rest smaller than a batch is left out of this epoch.
    """
    train = dataset.train
    count = len(train.labels)
    batch_size = min(batch_size, count)
    rng = np.random.Generator(np.random.PCG64(seed))
    order = rng.permutation(count)
    for start in range(0, epoch_images(count, batch_size, images), batch_size):
        chosen = order[start : start + batch_size]
        batch = train.images[chosen]
        if augment:
            batch = random_crop(batch, dataset.info.crop_padding, rng)
            if dataset.info.flip:
                batch = random_flip(batch, rng)
        yield batch, train.labels[chosen].astype(np.float32)


def epoch_images(count: int, batch_size: int, images: int | None) -> int:
    """The images of one epoch: whole batches only, and at least one."""
    batch_size = min(batch_size, count)
    wanted = count if images is None else min(images, count)
    return max(1, wanted // batch_size) * batch_size


def random_crop(batch: np.ndarray, padding: int, rng: np.random.Generator) -> np.ndarray:
    """Each image shifted by up to `padding` pixels in each direction, the rim black."""
    n, channels, height, width = batch.shape
    # Quicker than np.pad.
    padded = np.zeros((n, channels, height + 2 * padding, width + 2 * padding), batch.dtype)
    padded[:, :, padding : padding + height, padding : padding + width] = batch
    windows: np.ndarray = sliding_window_view(padded, (height, width), (2, 3))  # type: ignore[call-overload]
    top, left = rng.integers(0, 2 * padding + 1, size=(2, n))
    return windows[np.arange(n), :, top, left]


def random_flip(batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every second image, chosen at random, mirrored left to right; `batch` itself is changed."""
    chosen = rng.random(len(batch)) < 0.5
    batch[chosen] = batch[chosen][:, :, :, ::-1]
    return batch


def max_pool_3x3(images: np.ndarray) -> np.ndarray:
    """The largest of each pixel and its neighbours; uint8, `(.., height, width)`."""
    columns = images.copy()
    np.maximum(columns[..., 1:, :], images[..., :-1, :], out=columns[..., 1:, :])
    np.maximum(columns[..., :-1, :], images[..., 1:, :], out=columns[..., :-1, :])
    # With a zero after each row all rows are one, and numpy is quick with long ones.
    rows = np.zeros((*images.shape[:-1], images.shape[-1] + 1), images.dtype)
    rows[..., :-1] = columns
    line, pooled = rows.reshape(-1), rows.copy().reshape(-1)
    np.maximum(pooled[1:], line[:-1], out=pooled[1:])
    np.maximum(pooled[:-1], line[1:], out=pooled[:-1])
    return pooled.reshape(rows.shape)[..., :-1]


def evaluation_batches(images: Images, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All images in order, uint8; the last batch is filled up with black ones of label -1."""
    count = len(images.labels)
    for start in range(0, count, batch_size):
        batch = images.images[start : start + batch_size]
        labels = images.labels[start : start + batch_size].astype(np.float32)
        missing = batch_size - len(labels)
        if missing:
            batch = np.pad(batch, ((0, missing), (0, 0), (0, 0), (0, 0)))
            labels = np.pad(labels, (0, missing), constant_values=-1)
        yield batch, labels
