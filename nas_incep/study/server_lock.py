"""A lock that a database's server ties to a connection, and releases when that closes."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, suppress
from typing import Any

from .patience import Patience

# A wait is cut into pieces, which end before a driver takes the server for dead.
SLICE_SECONDS = 10
# MySQL closes a connection that is idle for so long, and so releases the lock of a holder whose
# machine has vanished. PostgreSQL notices that by keepalives (database.py).
IDLE_SECONDS = 90


class ServerLock(AbstractContextManager[None]):
    """The reusable lock that a worker holds while it takes its next trial from a database.

    If the server restarts while the lock is held, it is lost, and another worker may hold it for a
    moment, too. Then the search may train one candidate too many.
    """

    def __init__(self, engine: Any, name: str, patience: Patience) -> None:
        """`engine` makes connections that are closed after use; `name` is the study's."""
        digest = hashlib.sha256(name.encode()).digest()
        self._name, self._number = digest.hex()[:32], int.from_bytes(digest[:8], "big", signed=True)
        self._engine, self._patience = engine, patience
        self._connection: Any = None

    def __enter__(self) -> None:
        self._connection = self._patience.until_connected(self._acquire)

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # a connection that is lost has released the lock
            self._connection.close()

    def _acquire(self) -> Any:
        """The connection that holds the lock."""
        import sqlalchemy

        connection = self._engine.connect()
        try:
            if connection.dialect.name == "postgresql":
                wait = sqlalchemy.text("SELECT pg_advisory_lock(:number)")
                connection.execute(wait, {"number": self._number})
                return connection
            connection.execute(sqlalchemy.text(f"SET SESSION wait_timeout = {IDLE_SECONDS}"))
            wait = sqlalchemy.text(f"SELECT GET_LOCK(:name, {SLICE_SECONDS})")
            # 1: it is held; 0: another held it all the time; NULL: an error on the server
            while connection.execute(wait, {"name": f"nas-incep-{self._name}"}).scalar() != 1:
                pass
            return connection
        except BaseException:
            connection.close()
            raise
