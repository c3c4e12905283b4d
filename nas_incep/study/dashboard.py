"""optuna-dashboard on the study of a run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from wsgiref.simple_server import WSGIServer, make_server

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
        from optuna_dashboard import wsgi
    except ImportError:
        raise InputError(
            "dashboard: optuna-dashboard is not installed: pip install 'nas-incep[dashboard]'"
        ) from None
    if isinstance(where, Path) and not where.exists():
        raise InputError(f"{where}: no such file: the search has not begun")
    storage = open_storage(where, place.heartbeat)
    try:
        with make_server(HOST, port, wsgi(storage)) as server:
            say(f"study {place.name}: http://{HOST}:{port}/ (Ctrl-C ends)")
            _serve(server)
    except OSError as error:
        raise InputError(f"--port {port}: cannot be used: {error.strerror}") from None
    finally:
        close_storage(storage)


def _serve(server: WSGIServer) -> None:
    """Serves until SIGINT or SIGTERM, and ends after the request that is being answered.

    An exception raised by the signal would be lost in that request: wsgiref catches them all.
    """

    def stop(*_: object) -> None:
        # From another thread, because it waits for this one.
        threading.Thread(target=server.shutdown, daemon=True).start()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.serve_forever()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
