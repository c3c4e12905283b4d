"""A study behind Optuna's gRPC proxy that survives restarts of the proxy."""

from __future__ import annotations

import json
import re
from typing import Any

from optuna.storages import GrpcStorageProxy

from ..errors import InputError
from . import database
from ._optuna import grpc_cache, grpc_stub
from .journal import quiet
from .patience import RECONNECT_SECONDS
from .urls import public_url


class _Proxy(GrpcStorageProxy):
    """A GrpcStorageProxy whose calls wait while the proxy restarts."""

    def _setup(self) -> None:
        import grpc

        calls = {
            "name": [{"service": "optuna.StorageService"}],
            "waitForReady": True,
            # The proxy itself may be waiting for its database.
            "timeout": f"{RECONNECT_SECONDS + 15}s",
            # For calls that the end of the old server cut off; see DurableStorage.
            "retryPolicy": {
                "maxAttempts": 2,
                "initialBackoff": "1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 1,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
        options = [
            ("grpc.service_config", json.dumps({"methodConfig": [calls]})),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_reconnect_backoff_ms", 5000),
            ("grpc.enable_http_proxy", 0),  # ignore the proxy variables for the web
        ]
        self._channel = grpc.insecure_channel(f"{self._host}:{self._port}", options=options)
        self._stub = grpc_stub(self._channel)
        self._cache = grpc_cache(self._stub)

    def set_trial_param(self, trial_id: int, *parameter: Any) -> None:
        try:
            super().set_trial_param(trial_id, *parameter)
        except KeyError:
            # A proxy that was restarted during a trial knows the trial only after it has read the
            # study.
            for study_id in list(self._cache.studies):
                self.get_all_trials(study_id, deepcopy=False)
            super().set_trial_param(trial_id, *parameter)


def open_proxy(url: str) -> GrpcStorageProxy:
    """Connects to the gRPC proxy at `url`, grpc://HOST:PORT. Raises InputError if it fails."""
    match = re.fullmatch(r"grpc://(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})/?", url)
    if not match:
        raise InputError(f"{public_url(url)}: a gRPC proxy's URL is grpc://HOST:PORT")
    try:
        import google.protobuf  # noqa: F401
        import grpc
    except ImportError:
        raise InputError(
            f"{url}: gRPC is missing: pip install 'nas-incep[grpc]' installs it"
        ) from None
    with quiet():
        storage = _Proxy(host=match[1], port=int(match[2]))
    try:
        grpc.channel_ready_future(storage._channel).result(timeout=database.CONNECT_SECONDS)
        storage.get_all_studies()
    except grpc.FutureTimeoutError:
        storage.close()
        raise InputError(f"{url}: no gRPC server answers there") from None
    except grpc.RpcError as error:
        storage.close()
        raise InputError(f"{url}: the proxy answers: {error.details()}") from None
    return storage
