"""A study in PostgreSQL, MySQL or MariaDB, or behind Optuna's gRPC proxy, over restarts of them."""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.storages import (
    GrpcStorageProxy,
    RDBStorage,
    RetryHeartbeatStaleTrialCallback,
)

from ..errors import InputError
from .journal import quiet

# SQLAlchemy, gRPC and the drivers are imported where they are used: a journal needs none of them.

CONNECT_SECONDS = 10  # how long one attempt to reach a server may take
RECONNECT_SECONDS = 60  # how long a call waits for a server that it once reached


FORMS = (
    "postgresql://USER:PASSWORD@HOST/DATABASE, mysql://USER:PASSWORD@HOST/DATABASE "
    "or grpc://HOST:PORT"
)
DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
LOCKS = {  # that a server keeps for a connection; the number means nothing
    "postgresql": "SELECT pg_advisory_lock(762205)",
    "mysql": "SELECT GET_LOCK('nas-incep', 60)",
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


def public_url(url: str) -> str:
    """The URL with its password replaced by `***`, however badly it is written."""
    # To the last @: one in the password should be percent-encoded, but must not be shown if not.
    url = re.sub(r"^((?:[^:/?#@]*://)?[^:/?#@]*):(?!//).*@", r"\1:***@", url, flags=re.DOTALL)
    # USER:PASSWORD without a host looks like HOST:PORT.
    url = re.sub(r"^([^:/?#@]*://[^:/?#@\[]*):(?!\d*(?:[/?]|$))[^/?@]*(?=[/?]|$)", r"\1:***", url)
    return re.sub(r"([?&](?:ssl)?passw(?:or)?d=)[^&]*", r"\1***", url, flags=re.IGNORECASE)


class _Database(RDBStorage):
    """An RDBStorage that gets over a restart of its server.

    A lost connection is noticed when the next call begins, and that call waits for the server. A
    call that was in the middle of its transaction is made again: the server has undone the first
    try. Only a connection that is lost while the server answers to COMMIT leaves open whether
    it was done. For what sets a value that makes no difference; a trial that was taken or begun so
    may be left running without an owner, and one that was ended is said to be finished already.
    """

    def __init__(self, url: str, **options: Any) -> None:
        try:
            super().__init__(url, **options)
        except BaseException:
            if hasattr(self, "engine"):
                self.engine.dispose()
            raise
        _wait_for_restarts(self.engine)


def _made_again(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        deadline = time.monotonic() + RECONNECT_SECONDS
        while True:
            try:
                return method(*args, **kwargs)
            except optuna.exceptions.StorageInternalError as error:
                if not _is_lost_connection(error.__cause__) or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    return call


for _name in (
    "create_new_study",
    "delete_study",
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    # Not create_new_trial, which Optuna itself tries five times.
    "_set_trial_param",
    "get_trial_param",
    "set_trial_state_values",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "get_trial_id_from_study_id_trial_number",
    "get_trial",
    "_get_trials",
    "_get_best_trial_id",
    "record_heartbeat",
    "_get_stale_trial_ids",
):
    setattr(_Database, _name, _made_again(getattr(RDBStorage, _name)))


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


def open_database(url: str, heartbeat: int) -> RDBStorage:
    import sqlalchemy.exc

    address = _database_url(url)
    defaults = CONNECT_ARGUMENTS.get(address.drivername, {})
    connect_args = {key: value for key, value in defaults.items() if key not in address.query}
    try:
        with quiet(), _alone(address, connect_args):
            return _Database(
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
    except (ImportError, sqlalchemy.exc.NoSuchModuleError):
        raise InputError(_missing_driver(url, address.drivername)) from None
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
        connection.execute(sqlalchemy.text(LOCKS[address.get_backend_name()]))
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


class _Proxy(GrpcStorageProxy):
    """A GrpcStorageProxy whose calls wait while the proxy restarts."""

    def _setup(self) -> None:
        import grpc
        from optuna.storages._grpc.auto_generated import api_pb2_grpc
        from optuna.storages._grpc.client import GrpcClientCache

        calls = {
            "name": [{"service": "optuna.StorageService"}],
            "waitForReady": True,
            # The proxy itself may be waiting for its database.
            "timeout": f"{RECONNECT_SECONDS + 15}s",
            # For calls that the end of the old server cut off; see _Database.
            "retryPolicy": {
                "maxAttempts": 2,
                "initialBackoff": "1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 1,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
        options = [
            ("grpc.service_config", json.dumps({"methodConfig": [calls]})),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_reconnect_backoff_ms", 5000),
            ("grpc.enable_http_proxy", 0),  # what is set for the web would be asked otherwise
        ]
        self._channel = grpc.insecure_channel(f"{self._host}:{self._port}", options=options)
        self._stub = api_pb2_grpc.StorageServiceStub(self._channel)
        self._cache = GrpcClientCache(self._stub)

    def set_trial_param(self, trial_id: int, *parameter: Any) -> None:
        try:
            super().set_trial_param(trial_id, *parameter)
        except KeyError:
            # A proxy that was restarted in the middle of a trial knows it only after it has read
            # the study.
            for study_id in list(self._cache.studies):
                self.get_all_trials(study_id, deepcopy=False)
            super().set_trial_param(trial_id, *parameter)


def open_proxy(url: str) -> GrpcStorageProxy:
    match = re.fullmatch(r"grpc://(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})/?", url)
    if not match:
        raise InputError(f"{public_url(url)}: a gRPC proxy's URL is grpc://HOST:PORT")
    try:
        import google.protobuf  # noqa: F401
        import grpc
    except ImportError:
        raise InputError(
            f"{url}: gRPC is missing: pip install 'nas-incep[grpc]' brings it"
        ) from None
    with quiet():
        storage = _Proxy(host=match[1], port=int(match[2]))
    try:
        grpc.channel_ready_future(storage._channel).result(timeout=CONNECT_SECONDS)
        storage.get_all_studies()
    except grpc.FutureTimeoutError:
        storage.close()
        raise InputError(f"{url}: no gRPC server answers there") from None
    except grpc.RpcError as error:
        storage.close()
        raise InputError(f"{url}: the proxy answers: {error.details()}") from None
    return storage
