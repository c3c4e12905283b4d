"""Whose fault an error is: a lost device's, the network's, or this program's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.engines import ENGINES, TORCH

from nas_incep import datasets
from nas_incep._text import gist
from nas_incep.architecture import Architecture, Block
from nas_incep.engines import load_engine
from nas_incep.engines.base import Job, NetworkFailed
from nas_incep.engines.faults import is_lost_device, raised_by_builtin, says_no_memory
from nas_incep.errors import DeviceLost
from nas_incep.recipe import Recipe
from nas_incep.records import CANDIDATE, FAILED, Subject

ADVICE = """
CUDA kernel errors might be asynchronously reported at some other API call
For debugging consider passing CUDA_LAUNCH_BLOCKING=1
Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.
"""


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: the launch timed out and was terminated",
        "CUDA error: unspecified launch failure",
        "CUDA error: device-side assert triggered",
        "CUDA error: uncorrectable ECC error encountered",
        "CUDA error: uncorrectable NVLink error detected during the execution",
        "CUDA error: Invalid access of peer GPU memory over nvlink or a hardware error",
        "CUDA error: misaligned address",
        "CUDA error: an illegal instruction was encountered",
        "CUDA error: operation not supported on global/shared address space",
        "CUDA error: invalid program counter",
        "CUDA error: hardware stack error",
        "CUDA error: tensor memory not completely freed",
        "CUDA error: an async error has occured in external entity outside of CUDA",
        "CUDA error: the MPS client has been terminated by the server",
        "CUDA error: unknown error",
        "HIP error: unknown error",
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, opa)`",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED_CUDART",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
        # As MXNet puts it.
        "Check failed: e == cudaSuccess: CUDA: unspecified launch failure",
        "Name: mxnet_generic_kernel ErrStr:unknown error",
        "Check failed: err == CUBLAS_STATUS_SUCCESS (13 vs. 0) : Cublas: sgemm fail.",
        "Check failed: e == CUDNN_STATUS_SUCCESS (8 vs. 0) : cuDNN: CUDNN_STATUS_EXECUTION_FAILED",
    ],
)
def test_after_such_an_error_only_a_new_process_can_use_the_device(message: str) -> None:
    assert is_lost_device(RuntimeError(message + ADVICE))
    assert not says_no_memory(RuntimeError(message + ADVICE))


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: invalid argument",
        "CUDA error: invalid configuration argument",
        "CUDA error: no kernel image is available for execution on the device",
        "CUDA error: too many resources requested for launch",
        "CUDA error: operation not permitted when stream is capturing",
        "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED",
        "cuDNN error: CUDNN_STATUS_BAD_PARAM",
        "unknown error in the file",
        "Check failed: err == CUBLAS_STATUS_SUCCESS (7 vs. 0) : Cublas: sgemm fail.",
        "mat1 and mat2 shapes cannot be multiplied (64x8 and 16x10)",
    ],
)
def test_after_others_the_process_goes_on(message: str) -> None:
    assert not is_lost_device(RuntimeError(message + ADVICE))


@pytest.mark.parametrize("library", ["CUBLAS", "CUDNN"])
def test_a_library_without_memory_has_not_lost_the_device(library: str) -> None:
    error = RuntimeError(f"CUDA error: {library}_STATUS_ALLOC_FAILED when calling a function")
    assert says_no_memory(error) and not is_lost_device(error)


def test_the_gist_of_a_message_is_what_is_wrong() -> None:
    assert gist(RuntimeError("CUDA error: misaligned address" + ADVICE)) == (
        "CUDA error: misaligned address"
    )
    assert gist(RuntimeError("Traceback (most recent call last):\n  File x\nError: no")) == (
        "Error: no"
    )
    assert gist(RuntimeError(" \n")) == "no message"


def test_mxnets_messages_end_with_what_is_wrong() -> None:
    from nas_incep.engines.gluon.runtime import mx

    assert gist(mx.base.MXNetError("[12:00:00] src/x.cc:1\n  Check failed: no\n")) == (
        "Check failed: no"
    )


def job(folder: Path) -> Job:
    architecture = Architecture((Block(1, 8, 8, 8, 8, 8, 8),), input_shape=(1, 8, 8))
    subject = Subject(CANDIDATE, 0, architecture.identity, 1, architecture)
    recipe = Recipe(epochs=1, batch_size=32, images_per_epoch=64)
    return Job(subject, datasets.load("digits"), recipe, "cpu", "float32", folder / "checkpoint")


@pytest.mark.parametrize("engine", [TORCH])
def test_what_an_operator_of_pytorch_refuses_is_the_networks_failure(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its functions in C have no frame in a traceback."""
    from nas_incep.engines.torch.feed import HostFeed

    next_batch = HostFeed.next

    def with_more_channels(self: Any) -> Any:
        images, labels = next_batch(self)
        return images.repeat(1, 2, 1, 1), labels

    with load_engine(engine).start(job(tmp_path)) as training:
        monkeypatch.setattr(HostFeed, "next", with_more_channels)
        with pytest.raises(NetworkFailed, match="to have 1 channels, but got 2") as failure:
            list(training.epochs(lambda images: False))
    assert failure.value.state == FAILED


def error_in(module: str, code: str) -> Exception:
    """What such code raises in a module of that name."""
    try:
        exec(compile(code, "x", "exec"), {"__name__": module})
    except Exception as error:
        return error
    raise AssertionError


@pytest.mark.parametrize("engine", [TORCH])
@pytest.mark.parametrize(
    ("module", "code", "networks"),
    [
        ("nas_incep.engines.torch.x", "import torch; torch.ones(2, 3) @ torch.ones(2, 3)", True),
        ("nas_incep.engines.torch.x", "import torch; torch.ones(2, 3).view(7)", True),
        ("torch.nn.x", "raise RuntimeError('a size does not fit')", True),
        ("nas_incep.engines.torch.x", "raise RuntimeError('ours')", False),
        ("nas_incep.engines.torch.x", "def f(): f()\nf()", False),
        ("nas_incep.engines.torch.x", "int('x')", False),
        ("nas_incep.datasets.x", "import torch; torch.ones(2, 3).view(7)", False),
        ("torchvision.x", "raise RuntimeError('another package')", False),
    ],
)
def test_what_this_program_raises_is_not_the_networks_failure(
    engine: str, module: str, code: str, networks: bool
) -> None:
    assert bool(load_engine(engine).failure(error_in(module, code))) == networks


def test_where_python_raises_no_builtin_has() -> None:
    assert raised_by_builtin(error_in("x", "[].pop()"), "x")
    assert not raised_by_builtin(error_in("x", "[].pop()"), "y")
    again = "try:\n    raise ValueError\nfinally:\n    a = 1"
    assert not raised_by_builtin(error_in("x", again), "x")
    assert not raised_by_builtin(ValueError("never raised"), "x")
    within = "import json; json.loads('{')"
    assert isinstance(error_in("x", within), json.JSONDecodeError)
    assert not raised_by_builtin(error_in("x", within), "x")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_device_that_is_lost_is_left_alone_and_keeps_the_checkpoint(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, this = load_engine(engine), job(tmp_path)
    error = RuntimeError("CUDA error: misaligned address" + ADVICE)

    def fail(*arguments: object) -> None:
        raise error

    training = loaded.start(this)
    monkeypatch.setattr(loaded, "release", fail)
    monkeypatch.setattr(training._training, "run_epoch", fail)
    with pytest.raises(DeviceLost) as lost, training:
        list(training.epochs(lambda images: False))
    assert lost.value.reason == "cpu was lost: CUDA error: misaligned address"
