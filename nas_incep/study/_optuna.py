"""The private names of Optuna that this package depends on, in one place.

Checked against the version below. If a new Optuna moves one of them,
`tests/study/test_private_names.py` names it, before anything else fails less clearly.
"""

from __future__ import annotations

from typing import Any

from optuna.samplers import NSGAIISampler
from optuna.storages import BaseStorage, get_storage
from optuna.storages._heartbeat import BaseHeartbeat, is_heartbeat_enabled
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

CHECKED_VERSION = "5.0.0"

# The private parts of GrpcStorageProxy that `proxy` overrides and fills: only a subclass can.
PROXY_PARTS = ("_setup", "_host", "_port", "_channel", "_stub", "_cache")

# Attributes that RetryHeartbeatStaleTrialCallback sets on a retry: the number of the first attempt,
# and those of all earlier attempts.
FIRST_TRY, ALL_TRIES = "failed_trial", "retry_history"

# The attribute in which NSGAIISampler stores the generation of a trial.
GENERATION = NSGAIISampler._get_generation_key()

__all__ = [
    "ALL_TRIES",
    "FIRST_TRY",
    "GENERATION",
    "PROXY_PARTS",
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
    """The storage's ID of a trial, unique across all studies of a database."""
    return trial._trial_id


def has_heartbeat(storage: BaseStorage) -> bool:
    """Whether the storage detects that the worker of a running trial has died."""
    return is_heartbeat_enabled(storage)


def stale_trial_ids(study: Study) -> list[int]:
    """The IDs of the running trials without a heartbeat for the storage's grace period."""
    storage: Any = study._storage
    stale: list[int] = storage._get_stale_trial_ids(study._study_id)
    return stale


def cached(storage: BaseStorage) -> BaseStorage:
    """The storage with Optuna's cache, which reads each finished trial from a database once."""
    return get_storage(storage)


def grpc_stub(channel: Any) -> Any:
    """The stub that calls Optuna's gRPC proxy over a channel."""
    from optuna.storages._grpc.auto_generated import api_pb2_grpc

    return api_pb2_grpc.StorageServiceStub(channel)


def grpc_cache(stub: Any) -> Any:
    """The cache of finished trials in a client of the proxy."""
    from optuna.storages._grpc.client import GrpcClientCache

    return GrpcClientCache(stub)
