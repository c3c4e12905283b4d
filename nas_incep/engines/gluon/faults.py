"""What an exception says about the network that was being built or trained."""

from __future__ import annotations

from ...records import DIVERGED, FAILED, OUT_OF_MEMORY
from ..base import Diverged, NetworkFailed
from ..faults import is_lost_device, last_line, raised_by
from .runtime import is_out_of_memory, mx


def failure(error: Exception) -> NetworkFailed | None:
    """The network's failure behind an error, None for faults of ours or of the machine.

    The network's are those that MXNet or GluonCV raises, apart from a lost device. MXNet cannot
    tell a wrong call of ours from a network that an operator refuses.
    """
    if isinstance(error, Diverged):
        return NetworkFailed(DIVERGED, str(error))
    if is_out_of_memory(error):
        return NetworkFailed(OUT_OF_MEMORY, "the device's memory is full")
    if isinstance(error, OSError) or is_lost_device(error):
        return None
    if isinstance(error, mx.base.MXNetError) or raised_by(error, "mxnet", "gluoncv"):
        return NetworkFailed(FAILED, f"{type(error).__name__}: {last_line(error)}")
    return None
