"""Predicting the classes of images with the network of a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np

from ..engines import AUTO, choose_engine, load_engine
from ..errors import InputError
from .bundle import Bundle, open_bundle
from .images import check_channels, pixels_of

if TYPE_CHECKING:
    from .images import AnyImage

BATCH = 64  # images that are computed together
ONNX = "onnx"
ENGINES = (AUTO, "gluon", "torch", ONNX)

Prediction = list[tuple[str, float]]


@dataclass(frozen=True)
class Predictor:
    """The network of a bundle as a function from an image to classes and probabilities.

    `bundle` tells where it comes from; `outputs` maps uint8 pixels `(batch, channels, height,
    width)` to the network's outputs `(batch, classes)`.
    """

    bundle: Bundle
    outputs: Callable[[np.ndarray], np.ndarray]

    def __call__(self, image: AnyImage, top: Optional[int] = None) -> Prediction:
        """The classes of an image with their probabilities, the most probable first; `top` of them.

        `image` is the path of a file, an array `(height, width)` or `(height, width, channels)`
        uint8, or a Pillow image. Raises InputError.
        """
        return next(self.many([image], top))

    def many(self, images: Iterable[AnyImage], top: Optional[int] = None) -> Iterator[Prediction]:
        """The same for each of many images, computed in batches. Raises InputError."""
        remaining = iter(images)
        while batch := [self.pixels(image) for image in islice(remaining, BATCH)]:
            yield from self.predict(np.stack(batch), top)

    def pixels(self, image: AnyImage) -> np.ndarray:
        """An image as the network takes it, `(channels, height, width)` uint8."""
        return pixels_of(image, self.bundle.manifest.preprocessing.input_shape)

    def predict(self, pixels: np.ndarray, top: Optional[int] = None) -> list[Prediction]:
        """The prediction for each of `(batch, channels, height, width)` uint8."""
        probabilities = softmax(self.outputs(pixels))
        if not np.isfinite(probabilities).all():
            raise InputError(f"{self.bundle.path}: the outputs of its network are not finite")
        # A stable order: of equal classes the first comes first, as with argmax.
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        classes = self.bundle.manifest.classes
        return [
            [(classes[index], float(row[index])) for index in best]
            for row, best in zip(probabilities, order)
        ]


def softmax(outputs: np.ndarray) -> np.ndarray:
    """The probabilities of outputs `(batch, classes)`, float64."""
    shifted = outputs.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinite outputs give nan
        shifted -= shifted.max(axis=1, keepdims=True)
        powers = np.exp(shifted)
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def load_predictor(path: str | Path, engine: str = AUTO, device: str = "cpu") -> Predictor:
    """The network of the bundle at `path` as a `Predictor`.

    `engine` is gluon, torch, onnx (ONNX Runtime on the CPU, without a framework) or auto: the
    framework that trained the network, if it is installed and can compute on the device, and onnx
    where none is. `device` is cpu, gpu, gpu:K or auto. Raises InputError if the bundle is damaged
    or the engine cannot be used.
    """
    return predictor_of(open_bundle(Path(path)), engine, device)


def predictor_of(bundle: Bundle, engine: str, device: str) -> Predictor:
    """See `load_predictor`."""
    if engine not in ENGINES:
        raise InputError(f"engine {engine!r}: one of {', '.join(ENGINES)} is expected")
    manifest, shape = bundle.manifest, bundle.network.input_shape
    check_channels(shape, str(bundle.path))
    for what, said, needed in (
        ("preprocessing.input_shape", manifest.preprocessing.input_shape, shape),
        ("the number of classes", len(manifest.classes), bundle.network.classes),
    ):
        if said != needed:
            raise InputError(
                f"{bundle.path}: {what} is {said} in the manifest, {needed} in "
                f"{manifest.described_in}"
            )
    return Predictor(bundle, outputs_of(bundle, engine, device))


def outputs_of(bundle: Bundle, engine: str, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """The network of a bundle as a function of uint8 pixels, see `Predictor.outputs`."""
    engine = predicting_engine(bundle, engine, device)
    if engine == ONNX:
        if device not in ("cpu", AUTO):
            raise InputError(f"--device {device}: --engine onnx computes on the CPU")
        from .onnx_runtime import session_of

        return session_of(bundle)
    loaded = load_engine(engine)
    forward = loaded.forward(bundle.network, bundle.weights_path, loaded.resolve(device))
    return lambda pixels: forward(bundle.normalization(pixels))


def chosen_engine(bundle: Bundle, engine: str, device: str) -> str:
    """The engine that `auto` means for a bundle; any other name unchanged. Raises InputError."""
    return choose_engine(device, bundle.manifest.engine)[0] if engine == AUTO else engine


def predicting_engine(bundle: Bundle, engine: str, device: str) -> str:
    """The same for predictions, which ONNX Runtime makes where no framework is installed."""
    try:
        return chosen_engine(bundle, engine, device)
    except InputError:
        if find_spec("onnx") and find_spec("onnxruntime"):
            return ONNX
        raise
