"""The sampling lock of a database, and how long a search waits for a server that is gone."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from helpers.commands import Options, command, meddled, started, wait_for
from helpers.servers import Databases
from helpers.studies import SPAWN, both_contend, contend

from nas_incep.results.run import Run
from nas_incep.study.storage import close_storage, lock_of, open_storage


def _contend(folder: Path, url: str) -> None:
    storage = open_storage(url)
    contend(folder, lock_of(storage, "study", folder, url), 30)
    close_storage(storage)


def test_one_worker_at_a_time_holds_it(database: tuple[Databases, str], tmp_path: Path) -> None:
    assert both_contend(tmp_path, _contend, database[1]) == 60
    assert [path.name for path in tmp_path.iterdir()] == ["count"]  # no lock in the run folder


def _hold(folder: Path, url: str, held: Any) -> None:
    with lock_of(open_storage(url), "study", folder, url):
        held.set()
        signal.pause()


def test_a_killed_holder_frees_it(database: tuple[Databases, str], tmp_path: Path) -> None:
    held = SPAWN.Event()
    process = SPAWN.Process(target=_hold, args=(tmp_path, database[1], held))
    process.start()
    assert held.wait(60)
    storage = open_storage(database[1])
    try:
        with lock_of(storage, "another study", tmp_path, database[1]):
            pass  # each study has its own
        threading.Timer(0.5, process.kill).start()
        begun = time.monotonic()
        with lock_of(storage, "study", tmp_path, database[1]):
            assert 0.4 < time.monotonic() - begun < 5
    finally:
        process.kill()
        process.join()
        close_storage(storage)


def test_it_outlives_a_restart(postgresql: Databases, postgresql_url: str, tmp_path: Path) -> None:
    storage = open_storage(postgresql_url)
    lock = lock_of(storage, "study", tmp_path, postgresql_url)
    with lock:
        postgresql.server.stop(signal.SIGINT)
        timer = threading.Timer(1, postgresql.server.start)
        timer.start()
    with lock:
        timer.join()
    close_storage(storage)


# The minute in seconds, for every process of a search.
SHORT = "import nas_incep.study.patience as p; p.RECONNECT_SECONDS = 5"


def test_a_search_ends_when_the_wait_for_its_database_is_over(
    postgresql: Databases,
    postgresql_url: str,
    tiny_space: Path,
    slow_table: Options,
    tmp_path: Path,
) -> None:
    """Not after another such wait in which to put its trial back, and one for its workers."""
    run = tmp_path / "run"
    options = ("--workers", 2, "--storage", postgresql_url, "--heartbeat", 2, *slow_table)
    environment = meddled(tmp_path, SHORT)
    with started(command(tiny_space, run, *options), env=environment) as process:
        assert "10 or more is recommended" in wait_for(process, "--heartbeat 2: ")
        wait_for(process, r"trial 1 \[Epoch 1\]")
        begun = time.monotonic()
        postgresql.server.stop(signal.SIGINT)
        try:
            said = process.communicate(timeout=60)[1]
            waited = time.monotonic() - begun
        finally:
            postgresql.server.start()
    assert process.returncode == 4, said
    assert "the study's storage: Connection refused" in said
    assert 3 < waited < 9
    # Nothing is lost.
    done = subprocess.run(command(tiny_space, run, *options, "--trials", 2), capture_output=True)
    assert done.returncode == 0
    assert all(record.outcome.state == "complete" for record in Run(run).records())
