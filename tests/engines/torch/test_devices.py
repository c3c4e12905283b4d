"""Names of devices that PyTorch has and this engine cannot use."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("torch")

from nas_incep.engines import load_engine
from nas_incep.errors import InputError


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("mps", r"^--device mps: Apple's GPUs lack numbers of 64 bits, .*; use cpu$"),
        ("cuda:0", r"^--device cuda:0: expected auto, cpu, gpu or gpu:K$"),
    ],
)
def test_a_device_that_cannot_be_used_is_told_in_one_sentence(device: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_engine("torch").resolve(device)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Makes PyTorch show one GPU, whose first operator raises an error."""

    def make(error: Exception) -> None:
        from nas_incep.engines.torch.runtime import torch

        def fail(*arguments: object, **options: object) -> None:
            raise error

        monkeypatch.setattr(torch.version, "cuda", "12.6")
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch, "ones", fail)

    return make


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("CUDA error: no kernel image is available\nadvice"), "CUDA error: no kernel"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 MiB"), "its memory is full"),
        (RuntimeError(""), "no message"),
        (AssertionError("Torch not compiled with CUDA enabled"), "Torch not compiled"),
    ],
)
def test_auto_is_the_cpu_where_the_gpu_does_not_work(
    gpu: Callable[[Exception], None],
    error: Exception,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gpu(error)
    engine = load_engine("torch")
    with pytest.raises(InputError, match=f"^gpu:0 cannot be used: {said}"):
        engine.resolve("gpu")
    assert engine.resolve("auto") == "cpu"
    told = capsys.readouterr().err
    assert told.startswith(f"gpu:0 cannot be used: {said}")
    assert told.endswith("; the CPU is used\n") and told.count("\n") == 1
    assert engine.count_gpus() == 0


def test_where_there_is_no_gpu_nothing_is_said_of_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nas_incep.engines.torch import runtime

    monkeypatch.setattr(runtime.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(runtime, "capabilities", tuple)
    assert load_engine("torch").resolve("auto") == "cpu"
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(runtime, "capabilities", lambda: ((8, 6),))
    assert load_engine("torch").resolve("auto") == "cpu"
    assert "the CPU is used" in capsys.readouterr().err
