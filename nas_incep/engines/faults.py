"""What an exception says about the network that was being built or trained."""

from __future__ import annotations

import dis
import re
from collections.abc import Callable
from types import TracebackType

from .._text import gist
from ..records import DIVERGED, FAILED, OUT_OF_MEMORY
from .base import Diverged, NetworkFailed

# What CUDA says of a device that only a new process can use again: the errors of which NVIDIA says
# that they leave the process "in an inconsistent state", and those of a driver that is gone.
_LOST_DEVICE = (
    "illegal memory access",
    "device-side assert triggered",  # PyTorch's advice on any error speaks of such assertions, too
    "unspecified launch failure",
    "the launch timed out",
    "illegal instruction",
    "misaligned address",
    "hardware stack error",
    "invalid program counter",
    "operation not supported on global/shared address space",
    "invalid access of peer gpu memory",
    "uncorrectable",  # an ECC or NVLink error
    "async error has occured in external entity",  # as CUDA spells it
    "tensor memory not completely freed",
    "context is destroyed",
    "invalid device context",
    "driver shutting down",
    "mps client",
    "gpu is lost",
    "fallen off the bus",
)
_UNKNOWN = re.compile(r"(cuda|hip)( error)?: unknown error|error_?unknown|errstr: *unknown error")
# What NVIDIA's libraries say when a kernel of theirs or a call of CUDA fails. MXNet gives the
# statuses of cuBLAS by their numbers.
_LIBRARY = re.compile(
    r"(cublas|cudnn|curand|cusolver|cusparse|cufft|hipblas|rocblas|miopen)\w*_"
    r"(execution_failed|internal_error|launch_failure|mapping_error|not_initialized"
    r"|exec_failed|status_unknown_error)|cublas_status_success \((1|11|13|14) vs"
)

# What frameworks and the C++ library say when an allocation fails; the fourth is oneDNN's.
_NO_MEMORY = (
    "out of memory",
    "cudamalloc",
    "failed to allocate",
    "could not create a memory object",
    "bad_alloc",
    "can't allocate memory",
    "cannot allocate memory",
    "status_alloc_failed",  # of cuBLAS or cuDNN
)


def says_no_memory(error: BaseException) -> bool:
    """Whether an exception, by its kind or its message, means that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY)


def is_lost_device(error: BaseException) -> bool:
    """Whether an error means that this process can no longer use its GPU."""
    text = str(error).lower()
    signs = any(sign in text for sign in _LOST_DEVICE)
    return signs or bool(_UNKNOWN.search(text) or _LIBRARY.search(text))


def raised_by(error: BaseException, *packages: str) -> bool:
    """Whether an exception was raised by Python code of these packages."""
    trace = _origin(error)
    name = str(trace.tb_frame.f_globals.get("__name__", "")) if trace else ""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def raised_by_builtin(error: BaseException, *packages: str) -> bool:
    """Whether Python code of these packages called the function in C that raised an exception.

    Such a function has no frame of its own in a traceback. What the packages raise themselves is
    left out; so is a recursion too deep, which is in no function.
    """
    trace = _origin(error)
    if trace is None or isinstance(error, RecursionError) or not raised_by(error, *packages):
        return False
    operation = dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]]
    return operation not in ("RAISE_VARARGS", "RERAISE")


def _origin(error: BaseException) -> TracebackType | None:
    """Where in Python code an exception was raised."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return trace


def network_failure(
    error: Exception,
    is_out_of_memory: Callable[[Exception], bool],
    is_refusal: Callable[[Exception], bool],
) -> NetworkFailed | None:
    """The network's failure behind an error, None for faults of ours or of the machine.

    `is_refusal` says whether an error is one with which the framework refuses a network.
    """
    if isinstance(error, Diverged):
        return NetworkFailed(DIVERGED, str(error))
    if is_out_of_memory(error):
        return NetworkFailed(OUT_OF_MEMORY, "the device's memory is full")
    if isinstance(error, OSError) or is_lost_device(error) or not is_refusal(error):
        return None
    return NetworkFailed(FAILED, f"{type(error).__name__}: {gist(error)}")
