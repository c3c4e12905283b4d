"""The setup around `import torch`; the other modules import `torch` from here."""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import re
import sys
from typing import Any

from ..._machine import BFLOAT16, FLOAT16, FLOAT32, has_bfloat16
from ..._text import counted, gist
from ...errors import InputError
from ..choice import INSTALL_TORCH, capabilities, is_device
from ..faults import says_no_memory
from ..tuning import give_memory_back

OLDEST = (2, 4)


def _import_torch() -> Any:
    """Raises InputError if PyTorch is missing, too old, or cannot be loaded."""
    if importlib.util.find_spec("torch") is None:
        raise InputError(f"PyTorch is not installed: {INSTALL_TORCH}")
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        raise InputError(f"PyTorch's installation is not complete: {INSTALL_TORCH}") from None
    release = re.match(r"(\d+)\.(\d+)", version)  # more may follow: 2.4a0+git12
    if release and tuple(map(int, release.groups())) < OLDEST:
        raise InputError(f"PyTorch {version} is too old: {'.'.join(map(str, OLDEST))} is needed")
    try:
        import torch
    except Exception as error:  # a shared library is missing, or another package disturbs it
        reason = gist(error) if str(error).strip() else type(error).__name__
        raise InputError(f"PyTorch cannot be loaded: {reason}") from None
    # TensorFloat-32 rounds the factors to 10 bits; cuDNN would use it by default.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch


torch: Any = _import_torch()

DTYPES = {FLOAT32: torch.float32, BFLOAT16: torch.bfloat16, FLOAT16: torch.float16}


def threads() -> int:
    """The number of CPU threads that PyTorch computes with."""
    count: int = torch.get_num_threads()
    return count


def resolve_device(name: str) -> str:
    """`cpu` or `gpu:K` for `auto`, `cpu`, `cpu:K`, `gpu` or `gpu:K`, after a test of the device.

    `auto` is the first GPU if it works, or else the CPU. Raises InputError, which says in one
    sentence why a requested GPU cannot be used.
    """
    kind, _, number = name.partition(":")
    if name == "auto":
        try:
            return resolve_device("gpu:0")
        except InputError as error:
            if capabilities() or torch.cuda.is_available():  # there is one
                print(f"{error}; the CPU is used", file=sys.stderr)
            return "cpu"
    if kind == "mps":
        raise InputError(
            f"--device {name}: Apple's GPUs lack numbers of 64 bits, in which losses are added; "
            "use cpu"
        )
    if not is_device(name):
        raise InputError(f"--device {name}: expected auto, cpu, gpu or gpu:K")
    if kind == "cpu":
        return "cpu"
    resolved = f"gpu:{int(number or 0)}"
    _probe_gpu(resolved, int(number or 0))
    return resolved


def device_of(name: str) -> Any:
    """The torch.device of `cpu` or `gpu:K`."""
    kind, _, number = name.partition(":")
    return torch.device("cpu") if kind == "cpu" else torch.device("cuda", int(number or 0))


def memory_of(device: Any) -> int:
    """The memory of a GPU, a torch.device, in bytes."""
    memory: int = torch.cuda.get_device_properties(device).total_memory
    return memory


def count_gpus() -> int:
    """The number of GPUs if the first of them works, else 0."""
    try:
        resolve_device("gpu:0")
    except InputError:
        return 0
    count: int = torch.cuda.device_count()
    return count


def _probe_gpu(name: str, index: int) -> None:
    if torch.version.cuda is None and torch.version.hip is None:
        raise InputError(
            f"{name} cannot be used: the installed PyTorch is the CPU one; "
            "install a build of torch for CUDA in its place"
        )
    if not torch.cuda.is_available():
        raise InputError(
            f"{name} cannot be used: PyTorch {torch.__version__} finds no GPU with a driver for "
            f"CUDA {torch.version.cuda}"
        )
    count = torch.cuda.device_count()
    if index >= count:
        raise InputError(
            f"{name} cannot be used: the driver shows {counted(count, 'GPU')} on this machine"
        )
    try:
        (torch.ones(2, 2, device=device_of(name)) * 2).cpu()
    except (RuntimeError, AssertionError) as error:  # that torch has no CUDA is an assertion
        reason = "its memory is full" if is_out_of_memory(error) else gist(error)
        raise InputError(f"{name} cannot be used: {reason}") from None


def check_precision(precision: str, device: str) -> None:
    """Raises InputError if a device, `cpu` or `gpu:K`, cannot train in that precision."""
    if device == "cpu":
        if precision == FLOAT16:
            raise InputError("--precision float16: on GPUs only, not on the cpu")
        if precision == BFLOAT16 and not has_bfloat16():
            raise InputError(
                "--precision bfloat16: this processor does not multiply in bfloat16 "
                "(avx512_bf16 or amx_bf16 is needed); float32 works everywhere"
            )
    elif precision == BFLOAT16 and torch.cuda.get_device_capability(device_of(device)) < (8, 0):
        raise InputError(
            f"--precision bfloat16: {device} is older than compute capability 8.0; "
            "float16 and float32 work there"
        )


def set_determinism(deterministic: bool, device: str) -> None:
    """Makes operators on a GPU add in one order, or as they are fastest.

    An operator that cannot will raise RuntimeError. On a CPU there is nothing to choose.
    """
    torch.use_deterministic_algorithms(deterministic and device != "cpu")


def release_memory(device: str) -> None:
    """Frees the memory of finished networks."""
    gc.collect()
    if device == "cpu":
        give_memory_back()
    else:
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that a device or the machine ran out of memory."""
    return isinstance(error, (MemoryError, RuntimeError)) and says_no_memory(error)
