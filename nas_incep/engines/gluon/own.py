"""Networks that functions of the user's own modules make."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import Any

from ...errors import InputError
from ..faults import last_line
from ..specs import ImportPath
from .runtime import mx


def make_own(path: ImportPath, classes: int) -> Any:
    """The HybridBlock that `function(classes=...)` of a module returns, not yet initialized.

    Python finds the module as usual, then in the working directory. Raises InputError.
    """
    # Last, so that a user's random.py does not take the place of Python's.
    sys.path.append(os.getcwd())
    try:
        # The caller's standard output may be read by a program.
        with contextlib.redirect_stdout(sys.stderr):
            network = _function(path)(classes=classes)
    except InputError:
        raise
    except Exception as error:  # whatever a user's code raises
        raise InputError(
            f"baseline {path}: {path.function}(classes={classes}) raised "
            f"{type(error).__name__}: {last_line(error)}"
        ) from error
    finally:
        sys.path.pop()
    if not isinstance(network, mx.gluon.HybridBlock):
        raise InputError(
            f"baseline {path}: {path.function}(classes={classes}) returned a "
            f"{type(network).__name__}: a gluon.HybridBlock is expected"
        )
    return network


def _function(path: ImportPath) -> Any:
    """The function itself. Raises InputError if there is none."""
    try:
        module = importlib.import_module(path.module)
    except Exception as error:  # whatever a module raises while it is imported
        missing = isinstance(error, ModuleNotFoundError) and error.name == path.module
        advice = "; settings of a zoo's network are NAME=VALUE or pretrained" if missing else ""
        raise InputError(
            f"baseline {path}: {path.module} cannot be imported: {type(error).__name__}: "
            f"{last_line(error)}{advice}"
        ) from error
    found = getattr(module, path.function, None)
    if not callable(found):
        raise InputError(
            f"baseline {path}: {path.module} ({module.__file__}) has no function {path.function}"
        )
    return found
