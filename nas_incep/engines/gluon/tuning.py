"""Settings of a process that trains, made before MXNet is imported; docs/speed.md has the figures.

They are for the commands of this package, which own their process. A program that only imports the
package keeps its own.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from ..._machine import installed_mxnets

_ENVIRONMENT = {
    # MXNet's engine computes behind Python's back in threads of its own. On a CPU, whose threads
    # are all computing anyway, that costs more than it brings.
    "MXNET_ENGINE_TYPE": "NaiveEngine",
    # OpenMP's threads wait some 50 microseconds awake, about as long as the gap between two
    # operators, and only then asleep: always awake they take the processor from other processes.
    "GOMP_SPINCOUNT": "10000",
}
# Parameters of glibc's mallopt and their values. Big arrays, which come and go with every batch,
# stay with the process: fresh ones from the kernel cost up to a third of a training's time.
_MALLOC = {
    -8: 1,  # M_ARENA_MAX: only the main arena can keep them
    -4: 0,  # M_MMAP_MAX: how many arrays lie apart, from where they go back to the kernel
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD, in bytes
}


def tune(threads: int | None = None, device: str = "auto") -> None:
    """Has this process compute with so many CPU threads, and as fast as `device` allows.

    `device` may be a list: the workers of a search inherit what holds for all of them.
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
