"""AMX, the matrix unit of newer Intel processors, for training in bfloat16 by MXNet.

oneDNN 2.4, which MXNet 1.9.1 contains, has kernels for AMX but leaves them off. They need a
variable that it reads at its first operator, and Linux's permission to use the tile registers
(https://docs.kernel.org/arch/x86/xstate.html). Without that permission the first of these kernels
ends the process with an illegal instruction, so the variable is never set without it.

These kernels take images with their channels last; oneDNN's other kernels for bfloat16 take them in
blocks of channels. Where both meet at a fused normalization and ReLU, its gradient fails ("could
not create a primitive descriptor iterator"). With all channels padded to a multiple of `BLOCK`, all
convolutions take AMX and they never meet.

One of the kernels writes past the end of its images: see `fails_pointwise`.
"""

from __future__ import annotations

import ctypes
import os

from ..._machine import has_amx

BLOCK = 32  # bfloat16 values in a row of a tile

_VARIABLE, _ISA = "DNNL_MAX_CPU_ISA", "AVX512_CORE_AMX"
_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18  # numbers of x86-64 Linux


def allow_amx() -> None:
    """Lets MXNet use AMX in this process, before its first operator, if the processor has it.

    A user's own DNNL_MAX_CPU_ISA stays, unless it would end the process.
    """
    if has_amx() and _permitted():
        os.environ.setdefault(_VARIABLE, _ISA)
    elif uses_amx():  # inherited; a permission is not
        del os.environ[_VARIABLE]


def uses_amx() -> bool:
    """Whether MXNet computes with AMX in this process, which `allow_amx` has prepared."""
    return os.environ.get(_VARIABLE) == _ISA


def fails_pointwise(height: int, width: int) -> bool:
    """Whether oneDNN 2.4's 1x1 convolution by AMX is wrong for images of this size.

    It takes the pixels of an image in equal parts of 9 to 16, and four such parts at once. Where
    there are three it takes four all the same: the next image's, or past the end of the array.
    """
    part, rest = divmod(height * width, 3)
    return not rest and 9 <= part <= 16


def _permitted() -> bool:
    request = ctypes.CDLL(None).syscall
    return bool(request(_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA) == 0)
