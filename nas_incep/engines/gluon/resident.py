"""Training images kept in a GPU's memory, where one gather crops and flips a batch.

Only a few integers per image, not its pixels, are sent to the GPU for each batch.
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
    """The training images of a data set on a device, uint8, each with a black border.

    The border is as wide as the data set's `crop_padding`, for random crops.
    """

    def __init__(self, dataset: Dataset, device: Any) -> None:
        images, padding = dataset.train.images, dataset.info.crop_padding
        border = (padding, padding)
        padded = np.pad(images, ((0, 0), (0, 0), border, border))
        _, channels, height, width = images.shape
        self._image, self._row = padded[0].size, padded.shape[3]
        # The offsets of a crop's pixels from its first one.
        c, y, x = np.ogrid[:channels, :height, :width]
        places = (c * padded[0, 0].size + y * self._row + x)[np.newaxis]
        send = functools.partial(mx.nd.array, ctx=device)
        self._pixels = send(padded.reshape(-1), dtype="uint8")
        self._labels = send(dataset.train.labels)
        self._places = send(places, dtype="int32")
        # What to add to them where the image is flipped.
        self._mirror = send(places[..., ::-1] - places, dtype="int32")
        normalize = normalization(dataset)
        self._scale, self._shift = send(normalize.scale), send(normalize.shift)
        self._send = send

    def batch(self, draw: Draw) -> list[Any]:
        """The labels `(batch,)` and the normalized images `(batch, channels, h, w)`, float32."""
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
    """Whether MXNet can index the pixels of the bordered training images in one tensor."""
    n, channels, height, width = dataset.train.images.shape
    border = 2 * dataset.info.crop_padding
    return n * channels * (height + border) * (width + border) <= MAX_PIXELS


@functools.lru_cache(maxsize=1)
def resident_images(dataset: Dataset, device: Any) -> ResidentImages:
    """Send a data set's training images to a device, or return those of the last call.

    They are kept because a worker trains many networks on them. `fits` must be true.
    """
    return ResidentImages(dataset, device)
