"""The setup around `import mxnet`; the other modules import `mx` from here.

MXNet 1.9.1 is the last release: it reads its thread count only at import, and looks for CUDA's
libraries where only a full toolkit installs them. `_importing` does what else its import needs.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib.util
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..._importing import import_mxnet
from ..._machine import cpu_threads, installed_mxnets
from ...errors import InputError
from ..choice import capabilities, is_device, is_too_new, torch_for_gpus
from ..faults import says_no_memory
from ..tuning import give_memory_back

# From PyPI's nvidia-*-cu11 wheels, dependencies first.
_CUDA_LIBRARIES = (
    "libcudart.so.11.0",
    "libnvToolsExt.so.1",
    "libnvrtc-builtins.so.11.*",
    "libnvrtc.so.11.2",
    "libcublasLt.so.11",
    "libcublas.so.11",
    "libcufft.so.10",
    "libcurand.so.10",
    "libcusolver.so.11",
    "libcudnn.so.8",
    "libcudnn_*.so.8",
    "libnccl.so.2",
)

_ENVIRONMENT = {
    # OpenMP's threads would spin while they wait; with any other busy process, that can slow a
    # training down up to a hundredfold.
    "OMP_WAIT_POLICY": "PASSIVE",
    # oneDNN caches a compiled primitive for every shape, and a search has ever new shapes.
    "MXNET_MKLDNN_CACHE_NUM": "20",
    # Tuning a convolution takes longer than it saves in a short training.
    "MXNET_CUDNN_AUTOTUNE_DEFAULT": "0",
    "MXNET_CUDNN_LIB_CHECKING": "0",
    "MXNET_OPTIMIZER_AGGREGATION_SIZE": "60",
    "MXNET_GPU_MEM_POOL_TYPE": "Round",
}


def _check_installation() -> None:
    installed = installed_mxnets()
    if len(installed) > 1:
        raise InputError(
            f"{' and '.join(installed)} are both installed and overwrite each other: "
            "uninstall all of them, then install one"
        )
    if importlib.util.find_spec("mxnet") is None:
        raise InputError(
            "MXNet is not installed: pip install 'nas-incep[cpu]', "
            "or 'nas-incep[cu112]' for an NVIDIA GPU"
        )


def _preload_cuda_libraries() -> None:
    """Loads the CUDA libraries that pip installed, so that no CUDA toolkit is needed."""
    nvidia = importlib.util.find_spec("nvidia")
    folders = list(nvidia.submodule_search_locations or []) if nvidia else []
    for name in _CUDA_LIBRARIES:
        for path in (path for folder in folders for path in Path(folder).glob(f"*/lib/{name}")):
            try:
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
            except OSError as error:
                raise InputError(f"{path}: cannot be loaded: {error}") from None


def _import_mxnet() -> Any:
    if "mxnet" in sys.modules:
        return sys.modules["mxnet"]
    _check_installation()
    os.environ["OMP_NUM_THREADS"] = str(cpu_threads())
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if any(name != "mxnet" for name in installed_mxnets()):
        _preload_cuda_libraries()
    try:
        with _without_engine_line():
            mxnet: Any = import_mxnet()
            mxnet.nd.waitall()  # starts the engine
    except OSError as error:  # a shared library is missing
        raise InputError(
            f"MXNet cannot be loaded: {error}; mxnet-cu112 needs an NVIDIA driver (libcuda.so.1) "
            "and the CUDA libraries of nas-incep[cu112]; without a GPU, install mxnet instead"
        ) from None
    _forget_signal_handlers()
    return mxnet


@contextlib.contextmanager
def _without_engine_line() -> Iterator[None]:
    """Suppresses MXNet's line on standard error that names an engine other than the default."""
    if "MXNET_ENGINE_TYPE" not in os.environ:
        yield
        return
    with tempfile.TemporaryFile() as kept:
        stderr = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            kept.seek(0)
            for line in kept:
                if b"MXNet start using engine" not in line:
                    os.write(stderr, line)
            os.close(stderr)


def _forget_signal_handlers() -> None:
    """Removes MXNet's handlers, which exit with status 255 and so hide the signal."""
    if not faulthandler.is_enabled() and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE):
            signal.signal(number, signal.SIG_DFL)


mx = _import_mxnet()


def threads() -> int:
    """The number of CPU threads that MXNet computes with."""
    return int(os.environ["OMP_NUM_THREADS"])


def resolve_device(name: str) -> Any:
    """The MXNet context for `auto`, `cpu`, `cpu:K`, `gpu` or `gpu:K`, tested with a tiny operator.

    `auto` is the first GPU if it works, or else the CPU. Raises InputError, which says in one
    sentence why a requested GPU cannot be used.
    """
    kind, _, number = name.partition(":")
    if name == "auto":
        try:
            return resolve_device("gpu:0")
        except InputError as error:
            if mx.runtime.Features().is_enabled("CUDA"):  # the user installed MXNet for GPUs
                print(f"{error}; the CPU is used", file=sys.stderr)
            return mx.cpu(0)
    if not is_device(name):
        raise InputError(f"--device {name}: expected auto, cpu, gpu or gpu:K")
    device = mx.Context(kind, int(number or 0))
    if kind == "gpu":
        _probe_gpu(device)
    return device


def context_of(device: str) -> Any:
    """The MXNet context of `cpu` or `gpu:K`, as returned by `device_name`."""
    kind, _, number = device.partition(":")
    return mx.Context(kind, int(number or 0))


def count_gpus() -> int:
    """The number of GPUs if the first of them works, else 0."""
    try:
        resolve_device("gpu:0")
    except InputError:
        return 0
    count: int = mx.context.num_gpus()
    return count


def _probe_gpu(device: Any) -> None:
    if not mx.runtime.Features().is_enabled("CUDA"):
        index = device.device_id
        in_vain = any(map(is_too_new, capabilities()[index : index + 1]))
        advice = "" if in_vain else "install mxnet-cu112 in its place, or "
        raise InputError(
            f"{device_name(device)} cannot be used: the installed MXNet is the CPU one; "
            f"{advice}{torch_for_gpus()}"
        )
    try:
        count = mx.context.num_gpus()
        if device.device_id >= count:
            raise InputError(
                f"{device_name(device)} cannot be used: the driver shows {count or 'no'} "
                f"GPU{'' if count == 1 else 's'} on this machine"
            )
        (mx.nd.ones((2, 2), ctx=device) * 2).wait_to_read()
    except mx.base.MXNetError as error:
        raise InputError(
            f"{device_name(device)} cannot be used: {_gpu_reason(str(error))}"
        ) from None


def _gpu_reason(message: str) -> str:
    """The reason behind an MXNetError of the probe, for users."""
    reasons = {
        "no kernel image": "mxnet-cu112 has no code for this GPU's generation "
        f"(it runs on compute capability 5.0 to 8.9); {torch_for_gpus()}",
        "driver version is insufficient": "its driver is too old for CUDA 11.2",
        "no CUDA-capable device": "the driver finds no GPU",
        "out of memory": "its memory is full",
        "unknown error": "the driver does not answer",
    }
    for part, reason in reasons.items():
        if part.lower() in message.lower():
            return reason
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1] if lines else "MXNet gives no reason"


def device_name(device: Any) -> str:
    """The name of an MXNet context: `cpu` or `gpu:K`."""
    return "cpu" if device.device_type.startswith("cpu") else f"gpu:{device.device_id}"


def release_memory(device: Any) -> None:
    """Frees the memory of finished networks, which are in reference cycles with trainers."""
    gc.collect()
    for _ in range(8):
        # Each call raises one error of the operators that failed asynchronously.
        with contextlib.suppress(mx.base.MXNetError):
            mx.nd.waitall()
            break
    if device.device_type == "gpu":
        device.empty_cache()
    else:
        give_memory_back()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that a device or the machine ran out of memory."""
    return isinstance(error, (MemoryError, mx.base.MXNetError)) and says_no_memory(error)
