"""How calls wait for a database's server that restarts, and when they give it up."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import optuna

log = logging.getLogger(__name__)

# How long a call waits for a server that was reachable before, from its start to its failure.
RECONNECT_SECONDS = 60

_T = TypeVar("_T")


class Patience:
    """The waiting of one process for one server.

    A call waits for a minute. Once one was given up, others (which put its trial back, or record
    a heartbeat) try once, and do not wait for another minute.
    """

    def __init__(self) -> None:
        self._gone = False
        self._call = threading.local()

    def deadline(self) -> float:
        """When the current call is given up, as a time.monotonic() value."""
        known: float | None = getattr(self._call, "deadline", None)
        return time.monotonic() + self._seconds() if known is None else known

    def until_connected(self, call: Callable[[], _T]) -> _T:
        """Makes a call, and makes it again if its connection was lost, until it is given up."""
        self._call.deadline = time.monotonic() + self._seconds()
        try:
            return self._repeat(call)
        finally:
            self._call.deadline = None

    def _seconds(self) -> float:
        return 0.0 if self._gone else RECONNECT_SECONDS

    def _repeat(self, call: Callable[[], _T]) -> _T:
        import sqlalchemy.exc

        while True:
            try:
                return call()
            except (
                optuna.exceptions.StorageInternalError,
                sqlalchemy.exc.SQLAlchemyError,
            ) as error:
                lost = _is_lost_connection(error) or _is_lost_connection(error.__cause__)
                if not lost or time.monotonic() > self.deadline():
                    raise
                log.info("repeating a call: %s", str(error.__cause__ or error).partition("\n")[0])
                time.sleep(0.1)

    def wait_for_restarts(self, engine: Any) -> None:
        """Makes each new connection of an SQLAlchemy engine wait for the server."""
        import sqlalchemy.event

        def connect(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
            deadline = self.deadline()
            while True:
                began = time.monotonic()
                try:
                    connection = dialect.connect(*arguments, **options)
                except dialect.dbapi.Error:
                    now = time.monotonic()
                    # An attempt to reach a silent server takes seconds, and would end too late.
                    if self._gone or now + (now - began) + 1 > deadline:
                        self._gone = True
                        raise
                else:
                    self._gone = False
                    return connection
                time.sleep(1)

        sqlalchemy.event.listen(engine, "do_connect", connect)


def _is_lost_connection(error: BaseException | None) -> bool:
    import sqlalchemy.exc

    # PendingRollbackError: when Optuna reads all trials, it goes on in the lost transaction.
    return getattr(error, "connection_invalidated", False) or isinstance(
        error, sqlalchemy.exc.PendingRollbackError
    )
