"""The heartbeats of workers, stored in the database that holds their study."""

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
    """The study's next trial, with a first heartbeat.

    To Optuna a trial without a heartbeat is never stale, and a requeued one still has its old
    heartbeat. Therefore the caller holds the sampling lock, as does the search for stale trials.
    """
    with warnings.catch_warnings():
        # Optuna warns that only Study.optimize sends heartbeats; here the worker does.
        warnings.filterwarnings("ignore", "Heartbeat of storage", UserWarning)
        trial = study.ask()
    beat(storage_of(study), trial_id(trial))
    return trial


def beat(storage: BaseStorage, trial_id: int) -> None:
    """Records one heartbeat of the trial; does nothing for a journal or a gRPC proxy."""
    if has_heartbeat(storage):
        storage.record_heartbeat(trial_id)  # type: ignore[attr-defined]


@contextmanager
def heartbeat(storage: BaseStorage, trial_id: int) -> Iterator[None]:
    """Records heartbeats while the block runs; does nothing for a journal or a gRPC proxy."""
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
        # It may be waiting for a restarting server; a late heartbeat does no harm.
        thread.join(timeout=5)


def _go_on_beating(storage: Any, trial_id: int, ended: threading.Event) -> None:
    # Optuna's own thread exits at the first failed heartbeat, and its trial would become stale.
    while True:
        with suppress(Exception):
            storage.record_heartbeat(trial_id)
        if ended.wait(storage.get_heartbeat_interval()):
            return
