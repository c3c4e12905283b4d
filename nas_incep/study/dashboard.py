"""optuna-dashboard on the study of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import InputError
from ..results.config import StudyPlace
from .storage import close_storage, open_storage

HOST = "127.0.0.1"  # whoever reaches the dashboard can delete studies


def serve(where: Path | str, place: StudyPlace, port: int, say: Callable[[str], None]) -> None:
    """Serves the dashboard of the storage at `where` on a port of this machine, until interrupted.

    `say` is told the address. Raises InputError where optuna-dashboard is missing, the port is
    taken, or the storage cannot be opened.
    """
    try:
        from optuna_dashboard import run_server
    except ImportError:
        raise InputError(
            "dashboard: optuna-dashboard is not installed: pip install 'nas-incep[dashboard]'"
        ) from None
    if isinstance(where, Path) and not where.exists():
        raise InputError(f"{where}: no such file: the search has not begun")
    storage = open_storage(where, place.heartbeat)
    try:
        say(f"study {place.name}: http://{HOST}:{port}/ (Ctrl-C ends)")
        run_server(storage, host=HOST, port=port)
    except OSError as error:
        raise InputError(f"--port {port}: cannot be used: {error.strerror}") from None
    finally:
        close_storage(storage)
