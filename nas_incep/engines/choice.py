"""Which engine `auto` means, found without importing a framework."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from typing import Any

from .._machine import installed_mxnets
from ..errors import InputError

AUTO = "auto"
# The newest generation of GPUs for which mxnet-cu112 has code.
_MXNET_NEWEST = (8, 9)
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUDA's attributes of a device


def choose_engine(devices: str, trained_by: str = "gluon") -> tuple[str, str]:
    """The engine for a comma-separated list of devices, and the reason.

    It is Gluon where MXNet can compute on them, else PyTorch; for a network that PyTorch has
    trained, it is PyTorch wherever that is installed. Raises InputError if neither is installed.
    """
    mxnet, torch = bool(installed_mxnets()), importlib.util.find_spec("torch") is not None
    if not mxnet and not torch:
        raise InputError(
            "neither MXNet nor PyTorch is installed: pip install 'nas-incep[cpu]', "
            "'nas-incep[cu112]' or 'nas-incep[torch]'"
        )
    if not torch:
        return "gluon", "PyTorch is not installed"
    if not mxnet:
        return "torch", "MXNet is not installed"
    if trained_by == "torch":
        return "torch", "it has trained the network"
    names = devices.split(",")
    gpus = _capabilities()
    if all(name.startswith("cpu") or (name == "auto" and not gpus) for name in names):
        return "gluon", "MXNet computes on the CPU"
    if installed_mxnets() == ("mxnet",):
        return "torch", "the installed MXNet is the CPU one"
    if not gpus:
        return "gluon", "the driver shows no GPU"
    newer = [gpu for gpu in gpus if gpu > _MXNET_NEWEST]
    if newer:
        major, minor = newer[0]
        return "torch", f"mxnet-cu112 has no code for compute capability {major}.{minor}"
    return "gluon", "MXNet computes on this GPU"


@functools.cache
def _capabilities() -> tuple[tuple[int, int], ...]:
    """The compute capability of each NVIDIA GPU that this process may use."""
    try:
        cuda: Any = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ()
    count, device, value = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    found = []
    for index in range(count.value):
        cuda.cuDeviceGet(ctypes.byref(device), index)
        numbers = []
        for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
            cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
            numbers.append(value.value)
        found.append((numbers[0], numbers[1]))
    return tuple(found)
