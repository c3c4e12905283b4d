"""nas_incep: architecture search for Inception-based NIN networks on MXNet/Gluon.

Importing the package imports no framework; `load`, `get_model` and `build_network` do so when they
are first used. After it `import mxnet` and `import gluoncv` work with newer versions of Python,
numpy and PyTorch, too.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _importing
from .architecture import NOTEBOOK, Architecture, Block
from .errors import InputError

if TYPE_CHECKING:
    from .api import SearchRun, search
    from .export.predictor import Predictor

    __version__: str
else:
    from . import search

__all__ = [
    "NOTEBOOK",
    "Architecture",
    "Block",
    "InputError",
    "__version__",
    "build_network",
    "get_model",
    "load",
    "load_predictor",
    "open_run",
    "search",
]

_importing.install()


class _Callable(types.ModuleType):
    """The subpackage `search`, which also is the function: `nas_incep.search("quick", "r1")`."""

    def __call__(self, space: str | Path, run: str | Path, **options: Any) -> SearchRun:
        """Searches a space; see `nas_incep.api.search`."""
        from . import api

        return api.search(space, run, **options)


sys.modules[f"{__name__}.search"].__class__ = _Callable


def __getattr__(name: str) -> Any:
    if name == "__version__":  # found when it is asked for, because that takes milliseconds
        import importlib.metadata

        return importlib.metadata.version("nas-incep")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def open_run(path: str | Path) -> SearchRun:
    """The run in a folder, finished or not; see `nas_incep.api.SearchRun`.

    Raises InputError if there is none.
    """
    from . import api

    return api.open_run(path)


def load(path: str | Path, ctx: Any = None, engine: str = "auto") -> Any:
    """The trained network of the exported bundle in the folder `path`.

    `engine` is gluon, for a HybridBlock on `ctx` (one or more contexts); torch, for a Module on the
    torch.device `ctx`; or auto: gluon where MXNet is installed. The default device is the CPU.

    Its input has the shape `(batch, channels, height, width)` and is normalized as the bundle's
    manifest describes; its output has the shape `(batch, classes)`. Raises InputError if the bundle
    is damaged, its parameters do not fit its architecture, or the engine cannot be used.
    """
    from .engines import AUTO, choose_engine, load_engine
    from .export.bundle import open_bundle

    bundle = open_bundle(Path(path))
    loaded = load_engine(choose_engine("cpu")[0] if engine == AUTO else engine)
    return loaded.load_network(bundle.network, bundle.weights_path, ctx)


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
    """A network by name, as in GluonCV: `nas_incep_notebook`, or a registered bundle's.

    `pretrained` loads the registered parameters on `ctx`, by default the CPU; a string is a prefix
    that their SHA-1 sum must have. Without it the parameters are not initialized. `classes`
    defaults to the registered number. `root` is the folder of registered networks, unless
    `$MXNET_HOME` is set. Needs MXNet and GluonCV. Raises InputError for an unknown name or
    parameters that do not fit.
    """
    from .engines.gluon import zoo

    return zoo.get_model(name, **kwargs)


def build_network(architecture: Architecture) -> Any:
    """The network of an architecture as a HybridBlock, with uninitialized parameters.

    Maps `(batch, channels, height, width)`, of the architecture's `input_shape`, to the scores
    `(batch, classes)`. Needs MXNet.
    """
    from .engines.gluon import networks

    return networks.build_network(architecture)
