"""Where the study of a search is kept: a journal on one machine, a database for many.

A journal is a file on a local disk. PostgreSQL, MySQL and MariaDB serve workers on several
machines, and so does Optuna's gRPC proxy in front of one of them when workers outnumber the
connections that it allows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage

from ..errors import InputError
from .journal import open_journal
from .urls import DRIVERS, FORMS, public_url


def open_storage(where: Path | str, heartbeat: int = 30) -> BaseStorage:
    """The storage at `where`: a journal's path, or the URL of a database or a gRPC proxy.

    Trials in a database whose worker has not shown life for two `heartbeat`s (seconds) can be
    failed and queued once more by `optuna.storages.fail_stale_trials`. A worker uses one
    connection, for moments two. Open it in the process that uses it: connections do not survive a
    fork. Raises InputError, which never shows the password, where the storage cannot be used.
    """
    if isinstance(where, Path):
        return open_journal(where)
    scheme = where.partition("://")[0] if "://" in where else ""
    if scheme == "grpc":
        from .proxy import open_proxy

        return open_proxy(where)
    if scheme.partition("+")[0] == "sqlite":
        raise InputError(
            f"{where}: several workers on SQLite run trials twice; "
            "without a database server, leave the study in the run folder's own journal"
        )
    if scheme.partition("+")[0] not in DRIVERS:
        raise InputError(f"{public_url(where)}: not a storage's URL, which is {FORMS}")
    from .database import open_database

    return open_database(where, heartbeat)


def close_storage(storage: BaseStorage) -> None:
    """Gives back the connections of a database or a proxy."""
    engine: Any = getattr(storage, "engine", None)
    if engine is not None:
        engine.dispose()
    elif hasattr(storage, "close"):
        storage.close()
