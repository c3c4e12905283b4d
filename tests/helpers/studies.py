"""Optuna studies in a storage of ours, and processes that contend for a lock."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from nas_incep.study.storage import close_storage, open_storage

SPAWN = multiprocessing.get_context("spawn")
EXPERIMENTAL = "ignore::optuna.exceptions.ExperimentalWarning"  # what fail_stale_trials is


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


def contend(folder: Path, lock: AbstractContextManager[Any], times: int) -> None:
    """Counts in a file under a lock; fails if another process does so at the same time."""
    for _ in range(times):
        with lock:
            # O_EXCL: two at a time would fail.
            os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))
            count = int((folder / "count").read_text())
            (folder / "count").write_text(str(count + 1))
            (folder / "inside").unlink()


def both_contend(folder: Path, target: Callable[..., None], *arguments: object) -> int:
    """What two processes have counted that run `target`, which calls `contend`."""
    (folder / "count").write_text("0")
    processes = [SPAWN.Process(target=target, args=(folder, *arguments)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return int((folder / "count").read_text())
