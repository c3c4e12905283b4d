"""Where a study is kept: on real servers, with workers that are killed and servers that restart."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from helpers.servers import PASSWORD, Databases, Server, free_port
from optuna.storages import fail_stale_trials
from optuna.trial import TrialState

from nas_incep.errors import InputError
from nas_incep.study import locks
from nas_incep.study._optuna import has_heartbeat
from nas_incep.study.heartbeat import ask, beat, heartbeat
from nas_incep.study.locks import LinkLock, sampling_lock
from nas_incep.study.storage import close_storage, open_storage
from nas_incep.study.urls import public_url

SPAWN = multiprocessing.get_context("spawn")
STALE_SECONDS = 2  # with a beat a second
DATABASES = ["postgresql", "mariadb"]
EXPERIMENTAL = "ignore::optuna.exceptions.ExperimentalWarning"  # what fail_stale_trials is


@pytest.fixture(params=["journal", *DATABASES, "proxy"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Each kind of storage in turn, empty."""
    if request.param == "journal":
        return tmp_path / "study.journal"
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> tuple[Databases, str]:
    """Each kind of database in turn: its server, and the URL of an empty database."""
    return request.getfixturevalue(request.param), request.getfixturevalue(f"{request.param}_url")


@contextmanager
def opened(where: Path | str) -> Iterator[optuna.Study]:
    study = optuna.create_study(
        study_name="test", storage=open_storage(where, 1), direction="maximize", load_if_exists=True
    )
    try:
        yield study
    finally:
        close_storage(study._storage)


def draw(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_categorical("kind", ("one", "other"))
    trial.suggest_int("width", 16, 128, step=16)
    return trial.params


def running(study: optuna.Study) -> list[int]:
    return [trial.number for trial in study.get_trials(states=(TrialState.RUNNING,))]


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- Opening ------------------------------------------------------------------------------------


def test_a_study_is_there_again(where: Path | str) -> None:
    with opened(where) as study:
        trial = ask(study)
        drawn = draw(trial)
        trial.report(0.25, 1)
        trial.set_user_attr("seed", 7)
        study.tell(trial, 0.5)
        study.enqueue_trial({"kind": "one", "width": 64})
    with opened(where) as study:
        first, second = study.trials
        assert (first.params, first.value, first.intermediate_values) == (drawn, 0.5, {1: 0.25})
        assert first.user_attrs == {"seed": 7}
        trial = ask(study)
        assert (trial.number, draw(trial)) == (1, {"kind": "one", "width": 64})
        assert second.state == TrialState.WAITING


@pytest.mark.filterwarnings(
    EXPERIMENTAL, "ignore:Heartbeat of storage"
)  # unlike real ones, threads
def test_workers_may_begin_a_database_at_the_same_time(database: tuple[Databases, str]) -> None:
    workers = 6
    barrier = threading.Barrier(workers)

    def begin(_: int) -> int:
        barrier.wait()
        with opened(database[1]) as study:
            return ask(study).number

    with ThreadPoolExecutor(workers) as pool:
        assert sorted(pool.map(begin, range(workers))) == list(range(workers))


def test_a_worker_keeps_one_connection(postgresql: Databases, postgresql_url: str) -> None:
    with opened(postgresql_url) as study:
        for _ in range(2):
            trial = ask(study)
            with heartbeat(study._storage, trial._trial_id):
                draw(trial)
                study.tell(trial, 0.5)
        name = postgresql_url.rpartition("/")[2]
        engine = study._storage.engine  # type: ignore[attr-defined]
        query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text(query)).scalar() == 1


@pytest.mark.parametrize(
    ("name", "query", "zone"),
    [
        ("postgresql", "SELECT current_setting('timezone')", "UTC"),
        ("mariadb", "SELECT @@session.time_zone", "+00:00"),
    ],
)
def test_beats_do_not_jump_when_summer_time_begins(
    name: str, query: str, zone: str, request: pytest.FixtureRequest
) -> None:
    # The servers of the tests are in other time zones.
    opened = open_storage(request.getfixturevalue(f"{name}_url"))
    with opened.engine.connect() as connection:  # type: ignore[attr-defined]
        assert connection.execute(sqlalchemy.text(query)).scalar() == zone
    close_storage(opened)


def test_a_torn_journal_is_mended(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    with opened(journal) as study:
        study.tell(ask(study), 0.5)
    with open(journal, "ab") as file:
        file.write(b'{"op_code": 4, "wor')
    for number in (1, 2):
        with opened(journal) as study:
            assert ask(study).number == number


# --- What is refused ----------------------------------------------------------------------------


def refused(url: str) -> str:
    """The sentence that an URL is refused with, which shows no password."""
    begun = time.monotonic()
    with pytest.raises(InputError) as caught:
        open_storage(url)
    sentence = str(caught.value)
    assert "\n" not in sentence and "secret" not in sentence and PASSWORD not in sentence
    assert public_url(url) in sentence
    assert time.monotonic() - begun < 10
    return sentence.removeprefix(f"{public_url(url)}: ")


@pytest.mark.parametrize(
    ("name", "wrong_password", "no_database", "no_server"),
    [
        (
            "postgresql",
            'password authentication failed for user "worker"',
            'database "nosuch" does not exist',
            "Connection refused",
        ),
        (
            "mariadb",
            "Access denied for user 'worker'@'127.0.0.1' (using password: YES)",
            "Access denied for user 'worker'@'%' to database 'nosuch'",
            "Can't connect to MySQL server on '127.0.0.1' ([Errno 111] Connection refused)",
        ),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_in_its_words(
    name: str,
    wrong_password: str,
    no_database: str,
    no_server: str,
    request: pytest.FixtureRequest,
) -> None:
    databases: Databases = request.getfixturevalue(name)
    url: str = request.getfixturevalue(f"{name}_url")
    own = url.rpartition("/")[2]
    assert refused(databases.url(own, password="not the secret")) == wrong_password
    assert refused(databases.url("nosuch")) == no_database
    assert refused(re.sub(r":\d+/", f":{free_port()}/", url)) == no_server
    assert "nosuch" in refused(url + "?nosuch=1")
    assert "nosuch.invalid" in refused(url.replace("127.0.0.1", "nosuch.invalid"))


def test_a_user_who_may_not_make_tables_is_told(postgresql: Databases, postgresql_url: str) -> None:
    postgresql.run("CREATE ROLE guest LOGIN PASSWORD 'secret'")
    url = postgresql.url(postgresql_url.rpartition("/")[2], "guest", "secret")
    assert refused(url) == "permission denied for schema public"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("oracle://u:secret@h/d", "not a storage's URL, which is postgresql://"),
        ("postgres://u:secret@h/d", "not a storage's URL"),
        ("u:secret@h/d", "not a storage's URL"),
        ("postgresql://u:secret/d", "not a storage's URL"),
        ("postgresql://u:secret@h:port/d", "not a storage's URL"),
        ("", "not a storage's URL"),
        ("postgresql://u:sec@secret@h/d", "special characters are percent-encoded"),
        ("mysql://u:secret@h", "no database is named"),
        ("postgresql+nosuch://u:secret@h/d", "not installed, or unknown"),
        ("mysql+nosuch://u:secret@h/d", "not installed, or unknown"),
        ("sqlite:///study.db", "several workers on SQLite run trials twice; without a database"),
        ("sqlite+pysqlcipher://:secret@/x.db", "several workers on SQLite"),
        ("sqlite+pysqlite:///study.db", "several workers on SQLite"),
        ("grpc://h", "a gRPC proxy's URL is grpc://HOST:PORT"),
        ("grpc://u:secret@h:1", "a gRPC proxy's URL is grpc://HOST:PORT"),
    ],
)
def test_what_is_no_storage_is_refused(url: str, reason: str) -> None:
    assert refused(url).startswith(reason) or reason in refused(url)


@pytest.mark.parametrize(
    ("module", "url", "extra"),
    [
        ("psycopg", "postgresql://u:secret@h/d", "postgresql"),
        ("pymysql", "mysql://u:secret@h/d", "mysql"),
        ("grpc", "grpc://h:1", "grpc"),
    ],
)
def test_a_missing_driver_is_named(
    module: str, url: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert f"pip install 'nas-incep[{extra}]'" in refused(url)


def test_a_proxy_that_does_not_answer_is_given_up_soon(
    postgresql: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas_incep.study.database.CONNECT_SECONDS", 0.5)
    assert refused(f"grpc://127.0.0.1:{free_port()}") == "no gRPC server answers there"
    other = re.search(r":(\d+)/", postgresql.url("postgres"))
    assert other and refused(f"grpc://127.0.0.1:{other[1]}") == "no gRPC server answers there"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:secret@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("postgresql+psycopg://u:secret@[::1]:5432/d", "postgresql+psycopg://u:***@[::1]:5432/d"),
        ("mysql://u:se@cr/et?#@h/d", "mysql://u:***@h/d"),
        ("mysql://u:se\ncret@h/d", "mysql://u:***@h/d"),
        ("postgresql://u:@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:secret@h/d", "postgresql://:***@h/d"),
        ("postgresql://u:secret", "postgresql://u:***"),
        ("u:secret@h", "u:***@h"),
        ("postgresql://h/d?user=u&password=secret&x=1", "postgresql://h/d?user=u&password=***&x=1"),
        ("postgresql://h/d?sslpassword=secret", "postgresql://h/d?sslpassword=***"),
        ("postgresql://h/d?pass%77ord=secret&x=1", "postgresql://h/d?pass%77ord=***&x=1"),
        ("mysql://h/d?ssl_key_password=secret", "mysql://h/d?ssl_key_password=***"),
        ("mysql://h/d?auth_token=secret", "mysql://h/d?auth_token=***"),
        ("postgresql://u@h:5432/d", "postgresql://u@h:5432/d"),
        ("postgresql://h:5432", "postgresql://h:5432"),
        ("postgresql:///d?host=/run", "postgresql:///d?host=/run"),
        ("grpc://h:13000", "grpc://h:13000"),
        ("grpc://[::1]:13000", "grpc://[::1]:13000"),
        ("sqlite:////x.db", "sqlite:////x.db"),
    ],
)
def test_passwords_are_never_shown(url: str, shown: str) -> None:
    assert public_url(url) == shown
    assert public_url(shown) == shown


# --- Workers that die ---------------------------------------------------------------------------


def _hold_trial(url: str) -> None:
    with opened(url) as study:
        trial = ask(study)
        with heartbeat(study._storage, trial._trial_id):
            draw(trial)
            trial.report(0.25, 1)
            trial.set_user_attr("seed", 7)
            signal.pause()


@pytest.mark.filterwarnings(EXPERIMENTAL)
def test_a_killed_workers_trial_is_tried_once_more(postgresql_url: str) -> None:
    with opened(postgresql_url) as study:
        process = SPAWN.Process(target=_hold_trial, args=(postgresql_url,))
        process.start()
        until(lambda: any(trial.user_attrs for trial in study.trials))
        held = study.trials[0]
        alive_until = time.monotonic() + STALE_SECONDS + 1
        while time.monotonic() < alive_until:
            fail_stale_trials(study)
            assert running(study) == [0]
            time.sleep(0.2)

        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        until(lambda: fail_stale_trials(study) or not running(study))  # type: ignore[func-returns-value]
        states = [trial.state for trial in study.trials]
        assert states == [TrialState.FAIL, TrialState.WAITING]

        again = ask(study)
        assert (again.number, draw(again)) == (1, held.params)
        stored = study.trials[1]
        assert stored.intermediate_values == held.intermediate_values == {1: 0.25}
        assert stored.user_attrs == held.user_attrs == {"seed": 7}
        # It is tried again once, not for ever.
        study._storage.set_trial_state_values(again._trial_id, TrialState.FAIL)
        callback = study._storage.get_heartbeat_stale_trial_callback()  # type: ignore[attr-defined]
        callback(study, study.trials[1])
        assert len(study.trials) == 2


@pytest.mark.filterwarnings(EXPERIMENTAL)
def test_a_trial_that_is_asked_for_again_is_not_stale(mariadb_url: str) -> None:
    with opened(mariadb_url) as study:
        trial = ask(study)
        stale = study._storage._get_stale_trial_ids  # type: ignore[attr-defined]
        until(lambda: stale(study._study_id) == [trial._trial_id])
        study._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
        assert ask(study).number == 0
        fail_stale_trials(study)
        assert running(study) == [0]


def test_a_trial_that_is_put_back_is_the_same_trial(where: Path | str) -> None:
    with opened(where) as study, opened(where) as other:
        assert has_heartbeat(study._storage) == str(where).startswith(("postgresql:", "mysql:"))
        study.tell(ask(study), 0.5)
        trial = ask(study)
        drawn = draw(trial)
        trial.report(0.25, 1)
        assert running(other) == [1]
        other._storage.set_trial_state_values(trial._trial_id, state=TrialState.WAITING)
        again = ask(other)
        assert (again.number, draw(again)) == (1, drawn)
        other.tell(again, 0.5)
        assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 2
        assert study.trials[1].intermediate_values == {1: 0.25}
        assert ask(study).number == 2


def test_only_databases_beat(tmp_path: Path) -> None:
    with opened(tmp_path / "study.journal") as study:
        trial = ask(study)
        threads = threading.active_count()
        with heartbeat(study._storage, trial._trial_id):
            beat(study._storage, trial._trial_id)
            assert threading.active_count() == threads


def test_a_beat_that_fails_is_not_the_last(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(postgresql_url) as study:
        trial = ask(study)
        record, calls = study._storage.record_heartbeat, []  # type: ignore[attr-defined]

        def fail_once(trial_id: int) -> None:
            calls.append(trial_id)
            if len(calls) == 1:
                raise optuna.exceptions.StorageInternalError
            record(trial_id)

        monkeypatch.setattr(study._storage, "record_heartbeat", fail_once)
        threads = threading.active_count()
        with heartbeat(study._storage, trial._trial_id):
            until(lambda: len(calls) == 2)
        assert threading.active_count() == threads


# --- Servers that restart -----------------------------------------------------------------------


@contextmanager
def down(server: Server, seconds: float, how: signal.Signals) -> Iterator[None]:
    """The server is stopped when the block begins and comes back while it runs."""
    server.stop(how)
    timer = threading.Timer(seconds, server.start)
    timer.start()
    try:
        yield
    finally:
        timer.join()


@pytest.mark.filterwarnings(EXPERIMENTAL)
def test_a_worker_waits_for_its_database(postgresql: Databases, postgresql_url: str) -> None:
    with opened(postgresql_url) as study:
        trial = ask(study)
        with heartbeat(study._storage, trial._trial_id):
            drawn = draw(trial)
            with down(postgresql.server, STALE_SECONDS + 0.5, signal.SIGINT):
                trial.report(0.25, 1)
            time.sleep(1.2)  # for a beat
            fail_stale_trials(study)
            study.tell(trial, 0.5)
        assert [(t.params, t.value) for t in study.trials] == [(drawn, 0.5)]


def test_a_worker_waits_for_its_proxy(proxy: tuple[Server, str]) -> None:
    server, url = proxy
    with opened(url) as study:
        trial = ask(study)
        with down(server, 1, signal.SIGKILL):
            drawn = draw(trial)  # the new proxy has never heard of the trial
        study.tell(trial, 0.5)
        assert [(t.params, t.value) for t in study.trials] == [(drawn, 0.5)]


def test_a_call_that_is_cut_off_is_made_again(database: tuple[Databases, str]) -> None:
    databases, url = database
    with opened(url) as study:
        engine = study._storage.engine  # type: ignore[attr-defined]
        cuts = []

        def cut(*_: Any) -> None:
            """Ends the connection after the first statement of a transaction."""
            if cuts and cuts[-1] is None:
                cuts[-1] = True
                databases.disconnect()

        sqlalchemy.event.listen(engine, "after_cursor_execute", cut)
        cuts.append(None)
        trial = ask(study)
        calls: list[Callable[[], Any]] = [
            lambda: draw(trial),
            lambda: trial.report(0.25, 1),
            lambda: trial.set_user_attr("seed", 7),
            lambda: beat(study._storage, trial._trial_id),
            lambda: study.get_trials(),
            lambda: study.set_user_attr("x", 1),
            lambda: study.tell(trial, 0.5),
        ]
        for call in calls:
            cuts.append(None)
            call()
        assert cuts == [True] * (len(calls) + 1)
        (stored,) = study.trials
        assert (stored.value, stored.intermediate_values) == (0.5, {1: 0.25})
        assert (stored.params, stored.user_attrs) == (trial.params, {"seed": 7})


def test_a_server_that_does_not_come_back_is_given_up(
    postgresql: Databases, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas_incep.study.patience.RECONNECT_SECONDS", 0.5)
    with opened(postgresql_url) as study:
        postgresql.server.stop(signal.SIGINT)
        try:
            with pytest.raises(optuna.exceptions.StorageInternalError):
                study.set_user_attr("x", 1)
        finally:
            postgresql.server.start()
        study.set_user_attr("x", 2)
        assert study.user_attrs == {"x": 2}


# --- The sampling lock --------------------------------------------------------------------------


@pytest.fixture(params=["journal", "url"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    return tmp_path / "study.journal" if request.param == "journal" else "grpc://h:1"


def _contend(folder: Path, kind: Path | str) -> None:
    lock = sampling_lock(folder, kind)
    for _ in range(50):
        with lock:
            # O_EXCL: two at a time would fail.
            os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))
            count = int((folder / "count").read_text())
            (folder / "count").write_text(str(count + 1))
            (folder / "inside").unlink()


def test_one_worker_at_a_time_takes_a_trial(tmp_path: Path, kind: Path | str) -> None:
    (tmp_path / "count").write_text("0")
    processes = [SPAWN.Process(target=_contend, args=(tmp_path, kind)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert (tmp_path / "count").read_text() == "100"


def _hold_lock(folder: Path, kind: Path | str, held: Any) -> None:
    with sampling_lock(folder, kind):
        held.set()
        signal.pause()


def test_a_killed_holder_frees_the_lock(tmp_path: Path, kind: Path | str) -> None:
    held = SPAWN.Event()
    process = SPAWN.Process(target=_hold_lock, args=(tmp_path, kind, held))
    process.start()
    assert held.wait(60)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    begun = time.monotonic()
    with sampling_lock(tmp_path, kind, grace_seconds=60):
        assert time.monotonic() - begun < 2


def test_a_holder_on_another_machine_is_given_up_after_a_while(tmp_path: Path) -> None:
    lock = LinkLock(tmp_path / "lock", 1)
    os.symlink("elsewhere:1:0123", tmp_path / "lock")
    begun = time.monotonic()
    with lock:
        assert 1 < time.monotonic() - begun < 5


def test_a_holder_who_was_given_up_frees_nothing(tmp_path: Path) -> None:
    slow, quick = LinkLock(tmp_path / "lock", 60), LinkLock(tmp_path / "lock", 0.1)
    with slow:
        quick.__enter__()
    holder = os.readlink(tmp_path / "lock")  # still the second one's
    assert f":{os.getpid()}:" in holder
    quick.__exit__()
    assert list(tmp_path.iterdir()) == []
    with slow, pytest.raises(FileExistsError):
        os.symlink("another", tmp_path / "lock")


def test_an_interrupted_wait_leaves_the_lock_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with LinkLock(tmp_path / "lock", 60):
        monkeypatch.setattr(locks.time, "sleep", interrupt)
        holder = os.readlink(tmp_path / "lock")
        with pytest.raises(KeyboardInterrupt), LinkLock(tmp_path / "lock", 60):
            pass
        assert os.readlink(tmp_path / "lock") == holder
