"""Signs of life of a worker to the others, through the database that holds their study."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from optuna.storages import (
    BaseStorage,
)
from optuna.study import Study
from optuna.trial import Trial

from ._optuna import has_heartbeat, storage_of, trial_id


def ask(study: Study) -> Trial:
    """The study's next trial, with its first beat.

    Optuna never holds a trial without a beat to be stale, and one that is begun again still has its
    old beat. So this is called, like the search for stale trials, with the sampling lock held.
    """
    with warnings.catch_warnings():
        # Optuna beats in Study.optimize alone, and says so; here the worker does.
        warnings.filterwarnings("ignore", "Heartbeat of storage", UserWarning)
        trial = study.ask()
    beat(storage_of(study), trial_id(trial))
    return trial


def beat(storage: BaseStorage, trial_id: int) -> None:
    """Shows once that the trial's worker is alive; nothing for a journal or a gRPC proxy."""
    if has_heartbeat(storage):
        storage.record_heartbeat(trial_id)  # type: ignore[attr-defined]


@contextmanager
def heartbeat(storage: BaseStorage, trial_id: int) -> Iterator[None]:
    """Beats while the block trains the trial; does nothing for a journal or a gRPC proxy."""
    if not has_heartbeat(storage):
        yield
        return
    ended = threading.Event()
    arguments = (storage, trial_id, ended)
    thread = threading.Thread(target=_go_on_beating, args=arguments, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        # It may be waiting for a restarting server; a beat after the end does no harm.
        thread.join(timeout=5)


def _go_on_beating(storage: Any, trial_id: int, ended: threading.Event) -> None:
    # Optuna's own thread ends with the first beat that fails, and its trial is then taken away.
    while True:
        with suppress(Exception):
            storage.record_heartbeat(trial_id)
        if ended.wait(storage.get_heartbeat_interval()):
            return
