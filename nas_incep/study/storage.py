"""The storage of a study: a journal for one machine, a database for several.

A journal is a file on a local disk. PostgreSQL, MySQL and MariaDB serve workers on several
machines. If there are more workers than the server allows connections, Optuna's gRPC proxy goes in
between.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage

from ..errors import InputError
from .journal import open_journal
from .locks import sampling_lock
from .urls import DRIVERS, FORMS, public_url


def open_storage(where: Path | str, heartbeat: int = 60) -> BaseStorage:
    """Opens the storage at `where`: a journal's path, or the URL of a database or a gRPC proxy.

    `heartbeat` is in seconds. In a database, `optuna.storages.fail_stale_trials` can fail and retry
    trials without a heartbeat for twice that time. A worker uses one connection, briefly three.
    Open the storage in the process that uses it, because connections do not survive a fork. Raises
    InputError, which never shows the password, if the storage cannot be used.
    """
    if isinstance(where, Path):
        return open_journal(where)
    scheme = where.partition("://")[0] if "://" in where else ""
    if scheme == "grpc":
        from .proxy import open_proxy

        return open_proxy(where)
    if scheme.partition("+")[0] == "sqlite":
        raise InputError(
            f"{public_url(where)}: several workers on SQLite run trials twice; "
            "without a database server, keep the study in the run folder's journal"
        )
    if scheme.partition("+")[0] not in DRIVERS:
        raise InputError(f"{public_url(where)}: not a storage's URL, which is {FORMS}")
    from .database import open_database

    return open_database(where, heartbeat)


def lock_of(
    storage: BaseStorage, name: str, run_folder: Path, where: Path | str
) -> AbstractContextManager[Any]:
    """The lock under which the workers of the study of that name take trials.

    It is the database's own, if there is one; a gRPC proxy has none, so it is in the run folder.
    """
    if hasattr(storage, "sampling_lock"):
        lock: AbstractContextManager[Any] = storage.sampling_lock(name)
        return lock
    return sampling_lock(run_folder, where)


def close_storage(storage: BaseStorage) -> None:
    """Closes the connections to a database or a proxy."""
    engine: Any = getattr(storage, "engine", None)
    if engine is not None:
        engine.dispose()
    elif hasattr(storage, "close"):
        storage.close()
