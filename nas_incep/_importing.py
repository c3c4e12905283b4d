"""Makes MXNet 1.9.1 and GluonCV, which are finished, importable with newer packages.

`import nas_incep` puts a finder in front of Python's own. It finds nothing itself: it prepares the
process when one of the two is about to be imported, so until then nothing is changed or imported.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

# Removed numpy aliases that MXNet, its ONNX code or GluonCV still use.
_NUMPY_ALIASES = {"bool": bool, "int": int, "float": float, "object": object, "complex": complex}


class _Finder(importlib.abc.MetaPathFinder):
    """Prepares the process for `import mxnet` and `import gluoncv`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "mxnet":
            _prepare_for_mxnet()
        if fullname != "gluoncv.check":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec and spec.loader:
            _change_check(spec.loader)
        return spec


def install() -> None:
    """Puts the finder in place, once."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _prepare_for_mxnet() -> None:
    try:
        import numpy as np
    except ImportError:  # MXNet says so itself
        return
    for name, kind in _NUMPY_ALIASES.items():
        if name not in np.__dict__:
            setattr(np, name, kind)
    if sys.version_info >= (3, 12):
        with contextlib.suppress(ImportError):
            # Brings distutils back, also where its .pth is not read.
            import setuptools  # noqa: F401


class _Deferred(ModuleType):
    """Stands for a module, which is imported when something in it is asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


def import_mxnet() -> ModuleType:
    """MXNet without SciPy's statistics and scikit-learn, which take a third of its import's time.

    The statistics, for quantization and tests, are imported when they are used; scikit-learn would
    be the base of one class, which MXNet deprecated long ago.
    """
    hidden = {name for name in ("scipy.stats", "sklearn") if name not in sys.modules}
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        mxnet = importlib.import_module("mxnet")
    finally:
        for name in hidden:
            del sys.modules[name]
    if "scipy.stats" in hidden and importlib.util.find_spec("scipy"):
        mxnet.contrib.quantization.stats = mxnet.test_utils.ss = _Deferred("scipy.stats")
    return mxnet


def _change_check(loader: Any) -> None:
    """Makes GluonCV with MXNet ignore PyTorch: it refuses every version since 2.0."""
    run = loader.exec_module

    def exec_module(module: Any) -> None:
        run(module)
        require = module._require_pytorch_version

        def require_unless_mxnet(*versions: str) -> None:
            if "mxnet" in sys.modules:
                raise ImportError("GluonCV computes with MXNet")  # which it takes for an absence
            require(*versions)

        module._require_pytorch_version = require_unless_mxnet

    loader.exec_module = exec_module
