"""Storages on real servers, with workers that are killed and servers that restart."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from helpers.servers import Databases, Server
from helpers.studies import EXPERIMENTAL, SPAWN, draw, opened, running, until
from optuna.storages import fail_stale_trials
from optuna.trial import TrialState

from nas_incep.study._optuna import has_heartbeat
from nas_incep.study.heartbeat import ask, beat, heartbeat

STALE_SECONDS = 2  # with a beat a second


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
