"""What the messages and origins of a framework's exceptions say."""

from __future__ import annotations

# What CUDA says of a device that only a new process can use again.
_LOST_DEVICE = (
    "illegal memory access",
    "device-side assert",
    "unspecified launch failure",
    "uncorrectable ecc error",
    "gpu is lost",
)


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
