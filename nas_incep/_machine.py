"""The computing resources of this machine, found without importing a framework."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import socket
from pathlib import Path

# The precisions in which blocks can be computed, by the names that users give.
PRECISIONS = FLOAT32, BFLOAT16, FLOAT16 = "float32", "bfloat16", "float16"

# Where a container's quota and period are, in microseconds: version 2 of cgroups, then version 1.
_QUOTAS = [
    ("cpu.max",),
    ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),
    ("cpu,cpuacct/cpu.cfs_quota_us", "cpu,cpuacct/cpu.cfs_period_us"),
]


@functools.cache
def machine_name() -> str:
    """The name of the system whose process IDs this process sees: `host.boot.namespace`.

    Containers may share a host's name, and have process IDs of their own.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        namespace = "".join(filter(str.isdecimal, os.readlink("/proc/self/ns/pid")))
    except OSError:
        boot = namespace = ""
    return ".".join(filter(None, (socket.gethostname(), boot, namespace)))


def usable_cpus(cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """The number of CPUs this process may use: its affinity, limited by a container's quota."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for files in _QUOTAS:
        try:
            quota, period = map(int, " ".join((cgroups / f).read_text() for f in files).split())
        except (OSError, ValueError):  # there is no such file, or no limit: "max"
            continue
        if quota > 0 and period > 0:  # version 1 writes -1 for no limit
            cpus = min(cpus, quota // period)
    return max(1, cpus)


def cpu_threads() -> int:
    """The number of CPU threads to compute with: OMP_NUM_THREADS if it is set, or all usable CPUs.

    OpenMP also accepts a list, for nested regions; MXNet takes one number, the first.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else usable_cpus()


def too_many_threads(threads: int | None) -> tuple[str, ...]:
    """A notice if more threads are asked for than there are CPUs, which makes them wait."""
    cpus = usable_cpus()
    if threads is None or threads <= cpus:
        return ()
    usable = "is only 1 CPU" if cpus == 1 else f"are only {cpus} CPUs"
    return (f"--threads {threads}: there {usable} to use, so training will be slower",)


def has_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16; others emulate it slowly."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(_processor_flags())


def has_avx512() -> bool:
    return "avx512f" in _processor_flags()


def has_amx() -> bool:
    """Whether the processor has a matrix unit for bfloat16."""
    return "amx_bf16" in _processor_flags()


def _processor_flags() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    return next((line for line in lines if line.startswith("flags")), "").split()


@functools.cache
def installed_mxnets() -> tuple[str, ...]:
    """The installed distributions that provide `import mxnet`."""
    names = {str(dist.metadata["Name"]).lower() for dist in importlib.metadata.distributions()}
    return tuple(sorted(n for n in names if n == "mxnet" or n.startswith("mxnet-cu")))


def versions() -> dict[str, str]:
    """The versions of the packages that can affect a result, found without importing them."""
    return dict(_versions())  # a search asks often, a simulated one for each search


@functools.cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("nas-incep", "mxnet", "mxnet-cu112", "gluoncv", "torch", "numpy", "optuna"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
