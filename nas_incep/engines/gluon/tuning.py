"""Process settings for fast training, applied before the import of MXNet; see docs/speed.md.

Only the commands of this package, which own their process, apply them. A program that imports the
package keeps its own settings.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from ..._machine import installed_mxnets

_ENVIRONMENT = {
    # MXNet's default engine computes asynchronously in additional threads. On a CPU, where all
    # threads are busy computing anyway, that costs more than it gains.
    "MXNET_ENGINE_TYPE": "NaiveEngine",
    # OpenMP's threads spin for about 50 microseconds, the gap between two operators, and then
    # sleep. If they never slept, they would take the processor from other processes.
    "GOMP_SPINCOUNT": "10000",
}
# Parameters of glibc's mallopt and their values. The process keeps the memory of large arrays,
# which every batch frees and allocates: new pages cost up to a third of a training's time.
_MALLOC = {
    -8: 1,  # M_ARENA_MAX: only the main arena can keep large arrays
    -4: 0,  # M_MMAP_MAX: arrays in mmap regions, which free() returns to the kernel
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD, in bytes
}


def tune(threads: int | None = None, device: str = "auto") -> None:
    """Configures this process for `threads` CPU threads (None: no change) and for `device`.

    `device` may be a comma-separated list: workers inherit the settings that suit all of them.
    """
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    auto_is_cpu = installed_mxnets() == ("mxnet",)
    if all(d.startswith("cpu") or (d == "auto" and auto_is_cpu) for d in device.split(",")):
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
    mallopt: Any = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt:
        for parameter, amount in _MALLOC.items():
            mallopt(parameter, amount)
