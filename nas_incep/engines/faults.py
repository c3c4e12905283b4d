"""What an exception says about the network that was being built or trained."""

from __future__ import annotations

from collections.abc import Callable

from ..records import DIVERGED, FAILED, OUT_OF_MEMORY
from .base import Diverged, NetworkFailed

# What CUDA says of a device that only a new process can use again.
_LOST_DEVICE = (
    "illegal memory access",
    "device-side assert",
    "unspecified launch failure",
    "uncorrectable ecc error",
    "gpu is lost",
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
)


def says_no_memory(error: BaseException) -> bool:
    """Whether an exception, by its kind or its message, means that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY)


def is_lost_device(error: BaseException) -> bool:
    """Whether an error means that this process can no longer use its GPU."""
    return any(sign in str(error).lower() for sign in _LOST_DEVICE)


def raised_by(error: BaseException, *packages: str) -> bool:
    """Whether an exception was raised by code of these packages."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    name = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    return name.partition(".")[0] in packages


def last_line(error: BaseException) -> str:
    """The last line of an exception's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


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
    return NetworkFailed(FAILED, f"{type(error).__name__}: {last_line(error)}")
