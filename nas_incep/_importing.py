"""Makes MXNet 1.9.1 and GluonCV, which are finished, importable with newer packages.

`import nas_incep` puts a finder in front of Python's own. It finds nothing itself: it prepares the
process when one of the two is about to be imported, so until then nothing is changed or imported.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
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
