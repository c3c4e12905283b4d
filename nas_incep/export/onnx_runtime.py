"""Networks computed by ONNX Runtime: for predictions, and to check what is exported."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._machine import cpu_threads
from ..engines.weights import read_weights
from ..errors import InputError
from .bundle import Bundle

BATCH = 256
# Of the largest output: both sides compute in float32, in other orders.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Comparison:
    """How the outputs of a model compare with the network's on some images."""

    images: int
    differing: int  # images of which the most probable class is another
    largest: float  # difference between two outputs
    scale: float  # the largest output of the network

    @property
    def holds(self) -> bool:
        """Whether the outputs agree up to rounding, which may change the class of equal ones."""
        return self.largest <= TOLERANCE * max(1.0, self.scale)


def check_installed(*modules: str) -> None:
    """Raises InputError unless these modules can be imported."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"{' and '.join(missing)} is not installed: pip install 'nas-incep[onnx]'")


def model_bytes(bundle: Bundle) -> bytes:
    """The ONNX model of a bundle. Raises InputError if its parameters do not fit."""
    check_installed("onnx")
    from .onnx_graph import onnx_model

    arrays = read_weights(bundle.architecture, bundle.weights_path)
    model = onnx_model(bundle.architecture, arrays, bundle.normalization, bundle.manifest.classes)
    return bytes(model.SerializeToString())


def session_of(bundle: Bundle, model: bytes | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """A bundle's network in ONNX Runtime on the CPU, as a function of uint8 pixels.

    It maps `(batch, channels, height, width)` to outputs `(batch, classes)`. `model` is the model
    if it has been made already. Raises InputError.
    """
    check_installed("onnxruntime")
    import onnxruntime

    from .onnx_graph import INPUT, SCORES

    options = onnxruntime.SessionOptions()
    # Its own choice binds threads to processors that a container may not have.
    options.intra_op_num_threads = cpu_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model or model_bytes(bundle), options, providers=["CPUExecutionProvider"]
    )
    return lambda pixels: np.asarray(session.run([SCORES], {INPUT: pixels})[0])


def compare(
    model: Callable[[np.ndarray], np.ndarray],
    network: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
) -> Comparison:
    """Compares two functions of uint8 pixels `(images, channels, height, width)`."""
    differing, largest, scale = 0, 0.0, 0.0
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        found, expected = model(batch), network(batch)
        differing += int((found.argmax(1) != expected.argmax(1)).sum())
        largest = max(largest, float(np.abs(found - expected).max()))
        scale = max(scale, float(np.abs(expected).max()))
    return Comparison(len(images), differing, largest, scale)
