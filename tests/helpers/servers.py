"""Real servers for tests: PostgreSQL, MariaDB, Optuna's gRPC proxy, all on the loopback address.

A pytest plugin: `pytest_plugins = ["helpers.servers"]` brings its fixtures. A server starts when a
test first asks for it and serves the whole session; each test gets a database of its own. Where a
server is not installed its tests are skipped; with CI=true they fail.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

import pytest

# What a URL must escape, and what Optuna and SQLAlchemy could take for something of their own.
PASSWORD = "p@ss/w:rd%{x}?#&*"
START_SECONDS = 60


class Server:
    """A server's process, which can be stopped and started again on the same port."""

    def __init__(self, command: list[str], ready: Callable[[], bool], log: Path) -> None:
        self._command, self._ready, self._log = command, ready, log
        self.start()

    def start(self) -> None:
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                self._command, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise RuntimeError(f"{self._command}: {self._log.read_text(errors='replace')}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(how)
        self.process.wait(60)


class Databases:
    """A database server and the user `worker` on it."""

    def __init__(self, server: Server, form: str, run: Callable[[str], None]) -> None:
        self.server, self._form, self.run = server, form, run

    def url(self, database: str, user: str = "worker", password: str = PASSWORD) -> str:
        return self._form.format(f"{user}:{quote(password, safe='')}", database)

    @contextmanager
    def new(self) -> Iterator[str]:
        """The URL of an empty database, which is gone after the block."""
        name = f"test_{uuid.uuid4().hex}"
        self.run(f"CREATE DATABASE {name}")
        self.run(self._grant.format(name))
        yield self.url(name)
        self.run(f"DROP DATABASE {name}{self._force}")

    def disconnect(self) -> None:
        """Ends the worker's connections, as a restart does."""
        self.run(self._disconnect)

    _grant = "ALTER DATABASE {} OWNER TO worker"
    _force = " WITH (FORCE)"  # what a test leaves connected
    _disconnect = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'worker'"


class MariaDatabases(Databases):
    _grant = "GRANT ALL ON {}.* TO worker"
    _force = ""
    _disconnect = "KILL USER worker"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def missing(what: str) -> NoReturn:
    """Skips the test, or fails it where everything should be installed."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed")


def program(package: str, name: str, *folders: str) -> str:
    """The path of a server's program; Debian keeps some of them off PATH."""
    found = [path for folder in folders for path in sorted(glob.glob(f"{folder}/{name}"))]
    path = shutil.which(name) or (found[-1] if found else None)
    return path or missing(package)


@contextmanager
def home(user: str) -> Iterator[tuple[Path, list[str]]]:
    """A folder for a server's files, and how to start it there: servers refuse to run as root."""
    # Not pytest's own folders: they are closed to other users, and too long for a Unix socket.
    folder = Path(tempfile.mkdtemp(prefix="nas-incep-"))
    start = []
    if os.geteuid() == 0:
        shutil.chown(folder, user, user)
        start = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    try:
        yield folder, start
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Databases]:
    folders = ("/usr/lib/postgresql/*/bin",)
    initdb, postgres, psql, pg_isready = (
        program("PostgreSQL", name, *folders)
        for name in ("initdb", "postgres", "psql", "pg_isready")
    )
    with home("postgres") as (folder, start):
        port = free_port()
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        setup = [
            initdb,
            "--pgdata",
            f"{folder}/data",
            "--pwfile",
            f"{folder}/password",
            "--no-sync",
        ]
        setup += ["--username", "admin", "--encoding", "UTF8", "--no-locale"]
        call([*start, *setup, "--auth-local", "trust", "--auth-host", "scram-sha-256"])
        command = [postgres, "-D", f"{folder}/data", "-p", str(port), "-k", str(folder), "-F"]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "timezone=Europe/Berlin"]
        local = ["-h", str(folder), "-p", str(port), "-U", "admin", "-d", "postgres", "-q"]
        server = Server(
            [*start, *command],
            lambda: subprocess.run([pg_isready, *local]).returncode == 0,
            folder / "log",
        )

        def run(statement: str) -> None:
            call([psql, *local, "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-c", statement])

        run(f"CREATE ROLE worker LOGIN PASSWORD '{PASSWORD}'")
        yield Databases(server, f"postgresql://{{}}@127.0.0.1:{port}/{{}}", run)
        server.stop(signal.SIGINT)  # a fast shutdown: it does not wait for clients


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Databases]:
    install = program("MariaDB", "mariadb-install-db")
    daemon = program("MariaDB", "mariadbd", "/usr/sbin")
    client = program("MariaDB", "mariadb")
    with home("mysql") as (folder, start):
        port = free_port()
        setup = [install, "--no-defaults", f"--datadir={folder}/data", "--skip-test-db"]
        call([*start, *setup, "--auth-root-authentication-method=normal"])
        command = [daemon, "--no-defaults", f"--datadir={folder}/data", f"--port={port}"]
        command += ["--bind-address=127.0.0.1", f"--socket={folder}/socket"]
        command += [f"--pid-file={folder}/pid", "--innodb-flush-log-at-trx-commit=0"]
        command += ["--default-time-zone=+05:30", "--skip-name-resolve"]
        server = Server([*start, *command], lambda: answers(port), folder / "log")

        def run(statement: str) -> None:
            call(
                [
                    client,
                    "--no-defaults",
                    f"--socket={folder}/socket",
                    "-u",
                    "root",
                    "-e",
                    statement,
                ]
            )

        run(f"CREATE USER worker IDENTIFIED BY '{PASSWORD}'")
        yield MariaDatabases(server, f"mysql://{{}}@127.0.0.1:{port}/{{}}", run)
        server.stop()


@pytest.fixture
def postgresql_url(postgresql: Databases) -> Iterator[str]:
    with postgresql.new() as url:
        yield url


@pytest.fixture
def mariadb_url(mariadb: Databases) -> Iterator[str]:
    with mariadb.new() as url:
        yield url


PROXY = """
import sys
from optuna.storages import get_storage, run_grpc_proxy_server
from nas_incep.study.storage import open_storage
storage = get_storage(open_storage(sys.argv[1]))
run_grpc_proxy_server(storage, host="127.0.0.1", port=int(sys.argv[2]))
"""


@pytest.fixture
def proxy(postgresql_url: str, tmp_path: Path) -> Iterator[tuple[Server, str]]:
    """Optuna's gRPC proxy in front of PostgreSQL: the server and its URL."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-c", PROXY, postgresql_url, str(port)]
    server = Server(command, lambda: answers(port), tmp_path / "proxy.log")
    yield server, f"grpc://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def proxy_url(proxy: tuple[Server, str]) -> str:
    return proxy[1]
