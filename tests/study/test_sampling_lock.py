"""The lock under which a worker takes its next trial, in the run folder."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.studies import SPAWN, both_contend, contend

from nas_incep.study import locks
from nas_incep.study.locks import LinkLock, sampling_lock


@pytest.fixture(params=["journal", "url"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    return tmp_path / "study.journal" if request.param == "journal" else "grpc://h:1"


def _contend(folder: Path, kind: Path | str) -> None:
    contend(folder, sampling_lock(folder, kind), 50)


def test_one_worker_at_a_time_takes_a_trial(tmp_path: Path, kind: Path | str) -> None:
    assert both_contend(tmp_path, _contend, kind) == 100


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
