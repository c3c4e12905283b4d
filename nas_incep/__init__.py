"""nas_incep: architecture search for Inception-based NIN networks on MXNet/Gluon.

Importing the package imports no framework; `load`, `get_model` and `build_network` do so when they
are first used. After it `import mxnet` and `import gluoncv` work with newer versions of Python,
numpy and PyTorch, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _importing
from .architecture import NOTEBOOK, Architecture, Block
from .errors import InputError

if TYPE_CHECKING:
    from .export.predictor import Predictor

__all__ = [
    "NOTEBOOK",
    "Architecture",
    "Block",
    "InputError",
    "build_network",
    "get_model",
    "load",
    "load_predictor",
]

_importing.install()


def load(path: str | Path, ctx: Any = None, engine: str = "auto") -> Any:
    """The trained network of an exported bundle.

    `engine` is gluon, for a HybridBlock on `ctx` (one or more contexts); torch, for a Module on the
    torch.device `ctx`; or auto: gluon where MXNet is installed. The default device is the CPU.

    Its input has the shape `(batch, channels, height, width)` and is normalized as the bundle's
    manifest describes; its output has the shape `(batch, classes)`. Raises InputError if the bundle
    is damaged or its parameters do not fit its architecture.
    """
    from .engines import AUTO, choose_engine, load_engine
    from .export.bundle import open_bundle

    bundle = open_bundle(Path(path))
    loaded = load_engine(choose_engine("cpu")[0] if engine == AUTO else engine)
    return loaded.load_network(bundle.architecture, bundle.weights_path, ctx)


def load_predictor(path: str | Path, engine: str = "auto", device: str = "cpu") -> Predictor:
    """A function from an image to its classes and their probabilities, from an exported bundle.

    `load_predictor("best")("cat.png")` is a list of `(class, probability)`, the most probable
    first; see `nas_incep.export.predictor.Predictor`. `engine` is gluon, torch, onnx or auto: the
    framework that trained the network, if it is installed. Raises InputError if the bundle is
    damaged or the engine cannot be used.
    """
    from .export import predictor

    return predictor.load_predictor(path, engine, device)


def get_model(name: str, **kwargs: Any) -> Any:
    """A network by name, as in GluonCV; see `nas_incep.engines.gluon.zoo.get_model`."""
    from .engines.gluon import zoo

    return zoo.get_model(name, **kwargs)


def build_network(architecture: Architecture) -> Any:
    """The network of an architecture, with uninitialized parameters."""
    from .engines.gluon import networks

    return networks.build_network(architecture)
