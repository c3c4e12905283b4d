"""MXNet's own process settings for fast training; see `engines.tuning` and docs/speed.md."""

from __future__ import annotations

import os

from ..._machine import installed_mxnets
from ..tuning import tune_process
from .amx import allow_amx

_ENVIRONMENT = {
    # MXNet's default engine computes asynchronously in additional threads. On a CPU, where all
    # threads are busy computing anyway, that costs more than it gains.
    "MXNET_ENGINE_TYPE": "NaiveEngine",
    # OpenMP's threads spin for about 50 microseconds, the gap between two operators, and then
    # sleep. If they never slept, they would take the processor from other processes.
    "GOMP_SPINCOUNT": "10000",
}


def tune(threads: int | None = None, device: str = "auto", deterministic: bool = False) -> None:
    """Configures this process for `threads` CPU threads (None: no change) and for `device`.

    `device` may be a comma-separated list: workers inherit the settings that suit all of them. With
    `deterministic` MXNet takes those of cuDNN's algorithms that always add in the same order.
    """
    tune_process(threads)
    allow_amx()
    if deterministic:
        os.environ["MXNET_ENFORCE_DETERMINISM"] = "1"
    auto_is_cpu = installed_mxnets() == ("mxnet",)
    if all(d.startswith("cpu") or (d == "auto" and auto_is_cpu) for d in device.split(",")):
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
