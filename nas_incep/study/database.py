"""A study in PostgreSQL, MySQL or MariaDB, over restarts of their servers."""

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
from ._optuna import BaseHeartbeat, cached
from .journal import quiet
from .urls import DRIVERS, FORMS, public_url

# SQLAlchemy and the drivers are imported where they are used.

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10  # how long one attempt to reach a server may take
RECONNECT_SECONDS = 60  # how long a call waits for a server that it once reached
LOCK_SECONDS = 60  # how long a worker waits for others that make the tables

LOCKS = {  # that a server keeps for a connection, and answers with 1 or nothing; the number is ours
    "postgresql": "SELECT pg_advisory_lock(762205)",
    "mysql": f"SELECT GET_LOCK('nas-incep', {LOCK_SECONDS})",
}

# Beats are compared on the server's clock as each session shows it. In a local time zone all of
# them would look an hour old on the night when summer time begins, so every session is in UTC.
_LIBPQ = {
    "connect_timeout": CONNECT_SECONDS,
    "options": "-c timezone=UTC",
    # A server that vanishes without a word (power, firewall) is given up after a minute.
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # ms
}
_MYSQL = {
    "connect_timeout": CONNECT_SECONDS,
    "init_command": "SET time_zone = '+00:00'",
}
CONNECT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "postgresql+psycopg": _LIBPQ,
    "postgresql+psycopg2": _LIBPQ,
    "mysql+pymysql": {**_MYSQL, "read_timeout": 60, "write_timeout": 60},
    "mysql+mysqldb": _MYSQL,
}


def _made_again(name: str) -> Callable[..., Any]:
    """A method that hands its call on, and makes it again where the connection was lost."""

    def call(self: DurableStorage, *args: Any, **kwargs: Any) -> Any:
        return _until_connected(lambda: getattr(self.inner, name)(*args, **kwargs))

    return call


# All that Optuna asks of a storage; what its base classes make of that needs no more.
_INTERFACE = BaseStorage.__abstractmethods__ | BaseHeartbeat.__abstractmethods__
_HandingOn: Any = type(
    "_HandingOn", (BaseStorage, BaseHeartbeat), {name: _made_again(name) for name in _INTERFACE}
)


class DurableStorage(_HandingOn):
    """A database's storage that gets over a restart of its server.

    A lost connection is noticed when the next call begins, and that call waits for the server. A
    call that was in the middle of its transaction is made again: the server has undone the first
    try. Only a connection that is lost while the server answers to COMMIT leaves open whether
    it was done. For what sets a value that makes no difference; a trial that was taken or begun so
    may be left running without an owner, and one that was ended is said to be finished already.
    """

    def __init__(self, database: RDBStorage) -> None:
        self.engine = database.engine
        self.inner = cached(database)
        _wait_for_restarts(self.engine)


def _until_connected(call: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + RECONNECT_SECONDS
    while True:
        try:
            return call()
        except optuna.exceptions.StorageInternalError as error:
            if not _is_lost_connection(error.__cause__) or time.monotonic() > deadline:
                raise
            log.info("a call is made again: %s", reason(error))
        time.sleep(0.1)


def _is_lost_connection(error: BaseException | None) -> bool:
    import sqlalchemy.exc

    # The latter comes of Optuna's reading of all trials, which asks again in the lost transaction.
    return getattr(error, "connection_invalidated", False) or isinstance(
        error, sqlalchemy.exc.PendingRollbackError
    )


def _wait_for_restarts(engine: Any) -> None:
    """Lets each new connection wait for the server, as it was there once."""
    import sqlalchemy.event

    def connect(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        deadline = time.monotonic() + RECONNECT_SECONDS
        while True:
            try:
                return dialect.connect(*arguments, **options)
            except dialect.dbapi.Error:
                if time.monotonic() > deadline:
                    raise
            time.sleep(1)

    sqlalchemy.event.listen(engine, "do_connect", connect)


def open_database(url: str, heartbeat: int) -> DurableStorage:
    """The storage in the database at `url`; a beat is due every `heartbeat` seconds.

    Raises InputError, which never shows the password, where it cannot be used.
    """
    import sqlalchemy.exc

    address = _database_url(url)
    defaults = CONNECT_ARGUMENTS.get(address.drivername, {})
    connect_args = {key: value for key, value in defaults.items() if key not in address.query}
    try:
        return DurableStorage(_open(address, connect_args, heartbeat))
    except (ImportError, sqlalchemy.exc.NoSuchModuleError):
        raise InputError(_missing_driver(url, address.drivername)) from None
    except InputError as error:
        raise InputError(f"{public_url(url)}: {error}") from None
    # The others: tables of another Optuna, and what drivers make of options they do not know.
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
    """Optuna's own storage, its tables made; again where a server that was there goes away."""
    import sqlalchemy.exc

    deadline, reached = time.monotonic() + RECONNECT_SECONDS, False
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
            log.info("the database is opened again: %s", reason(error))
        time.sleep(1)


class _Disposing(RDBStorage):
    """Gives its connections back where it cannot be made."""

    def __init__(self, url: str, **options: Any) -> None:
        try:
            super().__init__(url, **options)
        except BaseException:
            if hasattr(self, "engine"):
                self.engine.dispose()
            raise


def _with_tables(address: Any, connect_args: dict[str, Any], heartbeat: int) -> RDBStorage:
    return _Disposing(
        # Optuna fills in {SCHEMA_VERSION}; other braces would confuse it.
        re.sub(r"([{}])", r"\1\1", address.render_as_string(hide_password=False)),
        engine_kwargs={
            # A connection that was lost while a network trained is replaced.
            "pool_pre_ping": True,
            # One connection is kept. The beats need another one if they meet a call, and
            # the threads of a gRPC proxy some; these are closed after use.
            "pool_size": 1,
            "max_overflow": 9,
            "pool_timeout": RECONNECT_SECONDS,
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
    """Lets one worker at a time into the block: Optuna's making of tables fails beside another's.

    The lock ends with the connection that holds it.
    """
    import sqlalchemy

    engine = sqlalchemy.create_engine(
        address, poolclass=sqlalchemy.pool.NullPool, connect_args=connect_args
    )
    with engine.connect() as connection:
        answer = connection.execute(sqlalchemy.text(LOCKS[address.get_backend_name()])).scalar()
        if answer == 0:  # MySQL gives up
            raise InputError(f"other workers have been making its tables for {LOCK_SECONDS} s")
        yield


def _database_url(url: str) -> Any:
    """SQLAlchemy's form of the URL, with a driver. Raises InputError where it is none."""
    import sqlalchemy.engine
    import sqlalchemy.exc

    try:
        address = sqlalchemy.engine.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise InputError(f"{public_url(url)}: not a storage's URL, which is {FORMS}") from None
    if "@" in (address.host or ""):
        raise InputError(
            f"{public_url(url)}: a password's special characters are percent-encoded in a URL "
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
            f"pip install 'nas-incep[{database}]' brings it"
        )
    return f"{public_url(url)}: the driver of {driver}:// is not installed, or unknown"


def reason(error: BaseException) -> str:
    """What the server or the driver says, in one line."""
    error = error.__cause__ or error
    if hasattr(error, "details"):  # gRPC's
        return str(error.details())
    error = getattr(error, "orig", None) or error
    text = str(error.args[-1]) if error.args else repr(error)
    # libpq repeats host and port first, and hints and further addresses follow in more lines.
    line = text.strip().partition("\n")[0]
    return re.sub(r"^(connection failed: )?(connection to server .*? failed: )?(\w+: +)?", "", line)
