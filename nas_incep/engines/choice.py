"""Which engine `auto` means, found without importing a framework."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import re
from pathlib import Path
from typing import Any

from .._machine import installed_mxnets
from ..errors import InputError

AUTO = "auto"
INSTALL_TORCH = "pip install 'nas-incep[torch]'"
# The newest generation of GPUs for which mxnet-cu112 has code.
_MXNET_NEWEST = (8, 9)
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUDA's attributes of a device


def lacking(engine: str) -> str:
    """The name of an engine's framework if it is not installed, else nothing."""
    if engine == "gluon":
        return "" if installed_mxnets() else "MXNet"
    return "" if importlib.util.find_spec("torch") else "PyTorch"


def choose_engine(devices: str, trained_by: str = "gluon") -> tuple[str, str]:
    """The engine for a comma-separated list of devices, and the reason.

    It is Gluon where MXNet can compute on them, else PyTorch; for a network that PyTorch has
    trained, it is PyTorch wherever that is installed. Where neither can, `auto` is Gluon on the
    CPU, and for a GPU that is asked for it is PyTorch, which says what is missing. Raises
    InputError if neither is installed.
    """
    mxnet, torch = not lacking("gluon"), not lacking("torch")
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
    gpus = [gpu for name in names for gpu in _gpus_of(name)]
    if all(name.startswith("cpu") or (name == "auto" and not gpus) for name in names):
        return "gluon", "MXNet computes on the CPU"
    newer = [gpu for gpu in gpus if is_too_new(gpu)]
    in_vain = newer or installed_mxnets() == ("mxnet",)
    if in_vain and not torch_has_gpus() and not any(name.startswith("gpu") for name in names):
        return "gluon", "MXNet computes on the CPU, and so would the installed PyTorch"
    if installed_mxnets() == ("mxnet",):
        return "torch", "the installed MXNet is the CPU one"
    if not gpus:
        return "gluon", "the driver shows no such GPU"
    if newer:
        major, minor = newer[0]
        return "torch", f"mxnet-cu112 has no code for compute capability {major}.{minor}"
    return "gluon", "MXNet computes on this GPU"


def is_device(name: str) -> bool:
    """Whether a device is written as `cpu`, `cpu:K`, `gpu` or `gpu:K`."""
    return re.fullmatch(r"(cpu|gpu)(:[0-9]{1,9})?", name) is not None


def is_too_new(gpu: tuple[int, int]) -> bool:
    """Whether mxnet-cu112 has no code for GPUs of this compute capability."""
    return gpu > _MXNET_NEWEST


def torch_for_gpus() -> str:
    """What to do to compute by PyTorch on a GPU that the installed MXNet cannot use."""
    if lacking("torch"):
        return f"install PyTorch: {INSTALL_TORCH}"
    if not torch_has_gpus():
        return "install a build of torch for CUDA in place of the CPU one, for --engine torch"
    return "choose --engine torch"


def torch_has_gpus() -> bool:
    """Whether the installed PyTorch was built for GPUs, as far as its files tell."""
    found = importlib.util.find_spec("torch")
    for folder in (found.submodule_search_locations or ()) if found else ():
        try:
            text = (Path(folder) / "version.py").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        # `cuda: Optional[str] = '12.6'`, without the type in some versions.
        builds = re.findall(r"^(?:cuda|hip)\b[^=\n]*= *(\S+)", text, re.MULTILINE)
        return not builds or any(build != "None" for build in builds)
    return bool(found)


def _gpus_of(device: str) -> tuple[tuple[int, int], ...]:
    """The compute capabilities of the GPUs that a device may mean, as the driver shows them."""
    kind, _, number = device.partition(":")
    if kind == "auto":
        return capabilities()
    if kind != "gpu" or not is_device(device):  # the engine refuses what is none
        return ()
    return capabilities()[int(number or 0) :][:1]


@functools.cache
def capabilities() -> tuple[tuple[int, int], ...]:
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
