"""Where a study is kept, on real servers: what is opened, and what is refused."""

from __future__ import annotations

import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy
from helpers.servers import PASSWORD, Databases, free_port
from helpers.studies import EXPERIMENTAL, draw, opened
from optuna.trial import TrialState

from nas_incep.errors import InputError
from nas_incep.study.heartbeat import ask, heartbeat
from nas_incep.study.storage import close_storage, open_storage
from nas_incep.study.urls import public_url

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
