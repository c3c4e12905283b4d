"""The loggers by name; they themselves are in `search.loggers`."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError

TENSORBOARD, MLFLOW = "tensorboard", "mlflow"
LOGGERS = (TENSORBOARD, MLFLOW)


def check_loggers(names: Sequence[str]) -> None:
    """Raises InputError if there is no logger of such a name."""
    for name in names:
        if name not in LOGGERS:
            raise InputError(f"--logger {name}: none or {' or '.join(LOGGERS)} is expected")
