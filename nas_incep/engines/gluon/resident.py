"""Training images that lie in a GPU's memory: a batch is cropped and flipped there, by one gather.

Only some numbers a batch go over the bus, in place of its pixels.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ...datasets import Dataset
from ...datasets.batches import Draw, normalization
from .runtime import mx

# MXNet 1.9 counts the elements of a tensor with 32 bits.
MAX_PIXELS = 2**31 - 1


class ResidentImages:
    """The training images of a data set on a device, uint8, each with a black rim."""

    def __init__(self, dataset: Dataset, device: Any) -> None:
        images, padding = dataset.train.images, dataset.info.crop_padding
        rim = (padding, padding)
        padded = np.pad(images, ((0, 0), (0, 0), rim, rim))
        _, channels, height, width = images.shape
        self._image, self._row = padded[0].size, padded.shape[3]
        # Where the pixels of an image's part lie, counted from its first one.
        c, y, x = np.ogrid[:channels, :height, :width]
        places = (c * padded[0, 0].size + y * self._row + x)[np.newaxis]
        send = functools.partial(mx.nd.array, ctx=device)
        self._pixels = send(padded.reshape(-1), dtype="uint8")
        self._labels = send(dataset.train.labels)
        self._places = send(places, dtype="int32")
        # What is to be added where the image is mirrored.
        self._mirror = send(places[..., ::-1] - places, dtype="int32")
        normalise = normalization(dataset)
        self._scale, self._shift = send(normalise.scale), send(normalise.shift)
        self._send = send

    def batch(self, draw: Draw) -> list[Any]:
        """Labels `(batch,)` and normalised images `(batch, channels, h, w)`, float32."""
        start = draw.chosen * self._image + draw.top * self._row + draw.left
        chosen, begin, flipped = (
            self._send(values, dtype="int32") for values in (draw.chosen, start, draw.flipped)
        )
        mirror = mx.nd.broadcast_mul(flipped.reshape((-1, 1, 1, 1)), self._mirror)
        places = mx.nd.broadcast_add(begin.reshape((-1, 1, 1, 1)), self._places) + mirror
        pixels = mx.nd.take(self._pixels, places).astype("float32")
        images = mx.nd.broadcast_sub(mx.nd.broadcast_mul(pixels, self._scale), self._shift)
        return [mx.nd.take(self._labels, chosen), images]


def fits(dataset: Dataset) -> bool:
    """Whether MXNet can count the pixels."""
    n, channels, height, width = dataset.train.images.shape
    rim = 2 * dataset.info.crop_padding
    return n * channels * (height + rim) * (width + rim) <= MAX_PIXELS


@functools.lru_cache(maxsize=1)
def resident_images(dataset: Dataset, device: Any) -> ResidentImages:
    """Those of the last data set and device are kept: a worker trains many networks on them."""
    return ResidentImages(dataset, device)
