"""Every private name of Optuna that this package cannot do without, in one place.

Checked against the version below. `tests/study/test_private_names.py` tells which of them a new
Optuna has moved, before anything else fails in stranger ways.
"""

from __future__ import annotations

from typing import Any

from optuna.storages import BaseStorage, get_storage
from optuna.storages._heartbeat import BaseHeartbeat, is_heartbeat_enabled
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

CHECKED_VERSION = "5.0.0"

# Attributes that RetryHeartbeatStaleTrialCallback gives to a second try: the number of the first
# one, and those of all before it.
FIRST_TRY, ALL_TRIES = "failed_trial", "retry_history"

__all__ = [
    "ALL_TRIES",
    "FIRST_TRY",
    "BaseHeartbeat",
    "cached",
    "grpc_cache",
    "grpc_stub",
    "has_heartbeat",
    "stale_trial_ids",
    "storage_of",
    "trial_id",
]


def storage_of(study: Study) -> BaseStorage:
    """The storage that a study was opened with."""
    return study._storage


def trial_id(trial: Trial | FrozenTrial) -> int:
    """The number by which a storage knows a trial; those of several studies share a database."""
    return trial._trial_id


def has_heartbeat(storage: BaseStorage) -> bool:
    """Whether the storage can tell that the worker of a running trial has died."""
    return is_heartbeat_enabled(storage)


def stale_trial_ids(study: Study) -> list[int]:
    """The running trials whose workers have shown no life for the storage's grace period."""
    storage: Any = study._storage
    stale: list[int] = storage._get_stale_trial_ids(study._study_id)
    return stale


def cached(storage: BaseStorage) -> BaseStorage:
    """The storage as Optuna wraps it by itself: finished trials are read from a database once."""
    return get_storage(storage)


def grpc_stub(channel: Any) -> Any:
    """What calls Optuna's gRPC proxy over a channel."""
    from optuna.storages._grpc.auto_generated import api_pb2_grpc

    return api_pb2_grpc.StorageServiceStub(channel)


def grpc_cache(stub: Any) -> Any:
    """What a proxy's client remembers of finished trials."""
    from optuna.storages._grpc.client import GrpcClientCache

    return GrpcClientCache(stub)
