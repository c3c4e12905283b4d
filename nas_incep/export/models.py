"""The optional files of a bundle: its network for ONNX runtimes, MXNet alone and PyTorch alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

from .._machine import installed_mxnets
from ..engines import AUTO
from ..errors import InputError
from . import onnx_runtime
from .bundle import Bundle
from .evaluation import images_of
from .manifest import ONNX_MODEL, PROGRAM, SYMBOL
from .predictor import chosen_engine, outputs_of

ONNX, SYMBOLIC, TORCH = "onnx", "symbol", "torch"


def check_kinds(kinds: Sequence[str]) -> None:
    """Raises InputError unless what the files are written with is installed."""
    if ONNX in kinds:
        onnx_runtime.check_installed("onnx", "onnxruntime")
    if SYMBOLIC in kinds and not installed_mxnets():
        raise InputError("--symbol: MXNet is not installed: pip install 'nas-incep[cpu]'")
    if TORCH in kinds and importlib.util.find_spec("torch") is None:
        raise InputError("--torch: PyTorch is not installed: pip install 'nas-incep[torch]'")


def add_models(
    bundle: Bundle, kinds: Sequence[str], data_dir: Path | None, say: Callable[[str], None]
) -> None:
    """Adds files of these kinds to a bundle, and tells of each in a sentence.

    The ONNX model is compared with the network on the validation images, if they are found and the
    network's framework is installed. Raises InputError if their outputs differ.
    """
    check_kinds(kinds)
    if ONNX in kinds:
        model = onnx_runtime.model_bytes(bundle)
        (bundle.path / ONNX_MODEL).write_bytes(model)
        say(f"{ONNX_MODEL}: {_compared(bundle, model, data_dir)}")
    if SYMBOLIC in kinds:
        from ..engines.gluon.symbol import save_symbol

        prefix = bundle.path / SYMBOL[: -len("-symbol.json")]
        save_symbol(bundle.network, bundle.weights_path, bundle.normalization, prefix)
        say(f"{SYMBOL}: written for MXNet alone")
    if TORCH in kinds:
        from ..engines.torch.program import save_program

        target = bundle.path / PROGRAM
        save_program(bundle.network, bundle.weights_path, bundle.normalization, target)
        say(f"{PROGRAM}: written for PyTorch alone")


def _compared(bundle: Bundle, model: bytes, data_dir: Path | None) -> str:
    """How a model's outputs compare with those of the network, as a phrase."""
    try:
        images = images_of(bundle, "validation", data_dir).images
        network = outputs_of(bundle, chosen_engine(bundle, AUTO, "cpu"), "cpu")
    except InputError as error:
        return f"not compared with the network: {error}"
    result = onnx_runtime.compare(onnx_runtime.session_of(bundle, model), network, images)
    if not result.holds:
        raise InputError(
            f"{ONNX_MODEL}: its outputs differ from the network's by up to {result.largest:.2g} on "
            f"{result.images} validation images, so it is not written"
        )
    same = "the same class for each"
    if result.differing:
        same = f"another class for {result.differing}, whose outputs are equal up to rounding,"
    return (
        f"{same} of {result.images} validation images; "
        f"outputs differ by at most {result.largest:.1e}"
    )
