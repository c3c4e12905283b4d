"""A study in PostgreSQL, MySQL or MariaDB that survives restarts of the server."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage, RetryHeartbeatStaleTrialCallback

from ..errors import InputError
from . import patience
from ._optuna import BaseHeartbeat, cached
from .journal import quiet
from .patience import Patience
from .server_lock import ServerLock
from .urls import DRIVERS, FORMS, public_url

# SQLAlchemy and the drivers are imported where they are used: only databases need them.

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10  # how long one attempt to reach a server may take
LOCK_SECONDS = 60  # how long a worker waits for others that create the tables

# Locks that a server ties to a connection; it returns 1 or nothing. The number is arbitrary.
LOCKS = {
    "postgresql": "SELECT pg_advisory_lock(762205)",
    "mysql": f"SELECT GET_LOCK('nas-incep', {LOCK_SECONDS})",
}

# Heartbeats are compared on the server's clock in the session's time zone. In a local one, all of
# them would look an hour old when daylight saving time begins, so every session uses UTC.
_LIBPQ = {
    "connect_timeout": CONNECT_SECONDS,
    # By its keepalives the server notices a worker whose machine vanishes, and releases its lock.
    "options": (
        "-c timezone=UTC -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 "
        "-c tcp_keepalives_count=3"
    ),
    # Notice a server that vanishes silently (power, firewall) early enough to reach it again, or
    # its successor, within the minute that a call waits.
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # ms
}
_MYSQL = {
    "connect_timeout": CONNECT_SECONDS,
    "init_command": "SET time_zone = '+00:00'",
}
CONNECT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "postgresql+psycopg": _LIBPQ,
    "postgresql+psycopg2": _LIBPQ,
    "mysql+pymysql": {**_MYSQL, "read_timeout": 30, "write_timeout": 30},
    "mysql+mysqldb": _MYSQL,
}


def _made_again(name: str) -> Callable[..., Any]:
    """A method that forwards its call, and repeats it if the connection was lost."""

    def call(self: DurableStorage, *args: Any, **kwargs: Any) -> Any:
        return self.patience.until_connected(lambda: getattr(self.inner, name)(*args, **kwargs))

    return call


# Everything that Optuna requires of a storage; the base classes build the rest on it.
_INTERFACE = BaseStorage.__abstractmethods__ | BaseHeartbeat.__abstractmethods__
_HandingOn: Any = type(
    "_HandingOn", (BaseStorage, BaseHeartbeat), {name: _made_again(name) for name in _INTERFACE}
)


class DurableStorage(_HandingOn):
    """The storage of a database, which survives a restart of its server.

    A lost connection is noticed at the start of the next call, which waits for the server. A call
    that was interrupted in its transaction is repeated, since the server has rolled it back. Only
    if the connection is lost while the server answers COMMIT is it unknown whether the call took
    effect. Setting a value twice does no harm; a trial that was created or started this way may
    stay running without a worker, and one that was ended is reported as already finished.
    """

    def __init__(self, database: RDBStorage, connect_args: dict[str, Any]) -> None:
        self.connect_args = connect_args
        self.engine = database.engine
        self.inner = cached(database)
        self.patience = Patience()
        self.patience.wait_for_restarts(self.engine)

    def sampling_lock(self, name: str) -> ServerLock:
        """The lock under which the workers of the study of that name take trials."""
        import sqlalchemy

        engine = sqlalchemy.create_engine(
            self.engine.url,
            poolclass=sqlalchemy.pool.NullPool,
            connect_args=self.connect_args,
            isolation_level="AUTOCOMMIT",
        )
        self.patience.wait_for_restarts(engine)
        return ServerLock(engine, name, self.patience)


def open_database(url: str, heartbeat: int) -> DurableStorage:
    """Opens the storage in the database at `url`, with a heartbeat every `heartbeat` seconds.

    Raises InputError, which never shows the password, if it cannot be used.
    """
    import sqlalchemy.exc

    address = _database_url(url)
    defaults = CONNECT_ARGUMENTS.get(address.drivername, {})
    connect_args = {key: value for key, value in defaults.items() if key not in address.query}
    try:
        return DurableStorage(_open(address, connect_args, heartbeat), connect_args)
    except (ImportError, sqlalchemy.exc.NoSuchModuleError):
        raise InputError(_missing_driver(url, address.drivername)) from None
    except InputError as error:
        raise InputError(f"{public_url(url)}: {error}") from None
    # The rest: tables of another Optuna version, and options that a driver does not know.
    except (
        sqlalchemy.exc.SQLAlchemyError,
        optuna.exceptions.StorageInternalError,
        RuntimeError,
        TypeError,
        ValueError,
        OSError,
    ) as error:
        raise InputError(f"{public_url(url)}: {reason(error)}") from None


def _open(address: Any, connect_args: dict[str, Any], heartbeat: int) -> RDBStorage:
    """Opens Optuna's storage and creates its tables; retries if the server goes away meanwhile."""
    import sqlalchemy.exc

    deadline, reached = time.monotonic() + patience.RECONNECT_SECONDS, False
    while True:
        try:
            with quiet(), _alone(address, connect_args):
                reached = True
                return _with_tables(address, connect_args, heartbeat)
        except (sqlalchemy.exc.OperationalError, optuna.exceptions.StorageInternalError) as error:
            cause = error.__cause__ or error
            cut = isinstance(cause, sqlalchemy.exc.OperationalError)
            if not (reached and cut) or time.monotonic() > deadline:
                raise
            log.info("reopening the database: %s", reason(error))
        time.sleep(1)


class _Disposing(RDBStorage):
    """Closes its connections if its construction fails."""

    def __init__(self, url: str, **options: Any) -> None:
        try:
            super().__init__(url, **options)
        except BaseException:
            if hasattr(self, "engine"):
                self.engine.dispose()
            raise


def _with_tables(address: Any, connect_args: dict[str, Any], heartbeat: int) -> RDBStorage:
    return _Disposing(
        # Optuna formats the URL to fill in {SCHEMA_VERSION}, so other braces are escaped.
        re.sub(r"([{}])", r"\1\1", address.render_as_string(hide_password=False)),
        engine_kwargs={
            # Replace a connection that was lost while a network trained.
            "pool_pre_ping": True,
            # Keep one connection. A heartbeat during a call needs another one, and the threads
            # of a gRPC proxy need several; these are closed after use.
            "pool_size": 1,
            "max_overflow": 9,
            "pool_timeout": patience.RECONNECT_SECONDS,
            "connect_args": connect_args,
        },
        skip_compatibility_check=False,
        heartbeat_interval=heartbeat,
        grace_period=2 * heartbeat,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(
            max_retry=1, inherit_intermediate_values=True
        ),
        skip_table_creation=False,
    )


@contextmanager
def _alone(address: Any, connect_args: dict[str, Any]) -> Iterator[None]:
    """Admits one worker at a time, because Optuna cannot create tables concurrently.

    The lock is released when its connection closes.
    """
    import sqlalchemy

    engine = sqlalchemy.create_engine(
        address, poolclass=sqlalchemy.pool.NullPool, connect_args=connect_args
    )
    with engine.connect() as connection:
        answer = connection.execute(sqlalchemy.text(LOCKS[address.get_backend_name()])).scalar()
        if address.get_backend_name() == "mysql" and answer != 1:  # 0: timed out, NULL: an error
            raise InputError(f"other workers have been creating its tables for {LOCK_SECONDS} s")
        yield


def _database_url(url: str) -> Any:
    """Parses a URL for SQLAlchemy and adds the driver. Raises InputError if it is invalid."""
    import sqlalchemy.engine
    import sqlalchemy.exc

    try:
        address = sqlalchemy.engine.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise InputError(f"{public_url(url)}: not a storage's URL, which is {FORMS}") from None
    if "@" in (address.host or ""):
        raise InputError(
            f"{public_url(url)}: special characters are percent-encoded in the password of a URL "
            "(@ is %40, : is %3A, / is %2F, % is %25)"
        )
    if not address.database:
        raise InputError(f"{public_url(url)}: no database is named, as in {FORMS}")
    return address.set(drivername=DRIVERS.get(address.drivername, address.drivername))


def _missing_driver(url: str, driver: str) -> str:
    database = driver.partition("+")[0]
    if driver == DRIVERS[database]:
        return (
            f"{public_url(url)}: {database} needs a driver: "
            f"pip install 'nas-incep[{database}]' installs it"
        )
    return f"{public_url(url)}: the driver of {driver}:// is not installed, or unknown"


def reason(error: BaseException) -> str:
    """The message of the server or the driver, in one line."""
    error = error.__cause__ or error
    if hasattr(error, "details"):  # a gRPC error
        return str(error.details())
    error = getattr(error, "orig", None) or error
    text = str(error.args[-1]) if error.args else repr(error)
    # libpq starts with host and port; hints and further addresses follow in more lines.
    line = text.strip().partition("\n")[0]
    return re.sub(r"^(connection failed: )?(connection to server .*? failed: )?(\w+: +)?", "", line)
