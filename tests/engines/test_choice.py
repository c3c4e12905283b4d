"""Which engine `auto` means, and what is said where a GPU cannot be used."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.engines import ENGINES

from nas_incep.engines import choice, choose_engine, load_engine
from nas_incep.errors import InputError

CPU, CUDA = "cuda: Optional[str] = None\nhip: Optional[str] = None\n", "cuda = '12.6'\nhip = None\n"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Makes this machine one with such installations and GPUs."""

    def make(mxnet: str, torch: str | None, *gpus: tuple[int, int]) -> None:
        (tmp_path / "version.py").write_text(f"__version__ = '2.6.0'\n{torch}")
        spec = torch and SimpleNamespace(submodule_search_locations=[str(tmp_path)])
        monkeypatch.setattr(choice, "installed_mxnets", lambda: tuple(filter(None, [mxnet])))
        monkeypatch.setattr(choice, "capabilities", lambda: gpus)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)

    return make


HOPPER, AMPERE, PASCAL = (9, 0), (8, 6), (6, 1)


@pytest.mark.parametrize(
    ("mxnet", "torch", "gpus", "devices", "engine"),
    [
        ("mxnet", CUDA, (), "auto", "gluon"),
        ("mxnet", CUDA, (), "cpu,cpu", "gluon"),
        ("mxnet", CUDA, (AMPERE,), "auto", "torch"),
        # A driver alone does not make the CPU build of PyTorch compute on a GPU.
        ("mxnet", CPU, (AMPERE,), "auto", "gluon"),
        ("mxnet-cu112", CPU, (HOPPER,), "auto", "gluon"),
        ("mxnet-cu112", CPU, (HOPPER,), "gpu", "torch"),
        ("mxnet", CPU, (AMPERE,), "gpu:0", "torch"),
        ("mxnet-cu112", CUDA, (AMPERE,), "auto", "gluon"),
        ("mxnet-cu112", CUDA, (PASCAL,), "gpu", "gluon"),
        ("mxnet-cu112", CUDA, (HOPPER,), "gpu", "torch"),
        # Each device is the one that it names.
        ("mxnet-cu112", CUDA, (HOPPER, AMPERE), "gpu:1", "gluon"),
        ("mxnet-cu112", CUDA, (HOPPER, AMPERE), "gpu:0", "torch"),
        ("mxnet-cu112", CUDA, (AMPERE, HOPPER), "gpu:1", "torch"),
        ("mxnet-cu112", CUDA, (AMPERE, HOPPER), "gpu", "gluon"),
        ("mxnet-cu112", CUDA, (AMPERE, HOPPER), "gpu:0,gpu:1", "torch"),
        ("mxnet-cu112", CUDA, (AMPERE, HOPPER), "auto", "torch"),
        ("mxnet-cu112", CUDA, (AMPERE,), "gpu:7", "gluon"),
        ("mxnet-cu112", CUDA, (AMPERE,), "gpu:", "gluon"),
        ("mxnet-cu112", "", (HOPPER,), "auto", "torch"),  # a build that does not tell
        ("mxnet", None, (HOPPER,), "gpu", "gluon"),
        ("", CPU, (), "auto", "torch"),
    ],
)
def test_auto_is_the_engine_that_can_compute_there(
    machine: Any,
    mxnet: str,
    torch: str | None,
    gpus: tuple[tuple[int, int], ...],
    devices: str,
    engine: str,
) -> None:
    machine(mxnet, torch, *gpus) if torch != "" else machine(mxnet, "\n", *gpus)
    assert choose_engine(devices)[0] == engine


def test_without_an_engine_the_extras_are_named(machine: Any) -> None:
    machine("", None)
    with pytest.raises(InputError, match=r"pip install .*'nas-incep\[torch\]'"):
        choose_engine("gpu")


@pytest.mark.parametrize(
    ("torch", "advice"),
    [
        (None, "install PyTorch: pip install 'nas-incep[torch]'"),
        (CPU, "install a build of torch for CUDA in place of the CPU one, for --engine torch"),
        (CUDA, "choose --engine torch"),
    ],
)
def test_where_mxnet_cannot_use_a_gpu_it_is_said_what_can(
    machine: Any, monkeypatch: pytest.MonkeyPatch, torch: str | None, advice: str
) -> None:
    from nas_incep.engines.gluon import runtime

    without = "gpu:0 cannot be used: the installed MXNet is the CPU one; "
    for gpu, first in ((AMPERE, "install mxnet-cu112 in its place, or "), (HOPPER, "")):
        machine("mxnet", torch, gpu)
        monkeypatch.setattr(runtime, "capabilities", choice.capabilities)
        with pytest.raises(InputError) as refusal:
            runtime.resolve_device("gpu")
        assert str(refusal.value) == without + first + advice

    def fail(*arguments: object, **options: object) -> None:
        raise runtime.mx.base.MXNetError("CUDA: no kernel image is available for execution")

    monkeypatch.setattr(runtime.mx.nd, "ones", fail)
    monkeypatch.setattr(runtime.mx.context, "num_gpus", lambda: 1)
    enabled = SimpleNamespace(is_enabled=lambda name: True)
    monkeypatch.setattr(runtime.mx.runtime, "Features", lambda: enabled)
    with pytest.raises(InputError) as refusal:
        runtime.resolve_device("gpu")
    assert str(refusal.value).endswith(f"(it runs on compute capability 5.0 to 8.9); {advice}")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("device", ["gpu:", "cpu:", "auto:", "gpu:٣", "gpu:-1", "gpu:1,gpu:0"])
def test_a_device_without_its_number_is_refused(engine: str, device: str) -> None:
    with pytest.raises(InputError, match="expected auto, cpu, gpu or gpu:K"):
        load_engine(engine).resolve(device)


BROKEN = "raise RuntimeError('numpy has changed\\nand more')"


@pytest.mark.parametrize(
    ("version", "code", "said"),
    [
        ("2.4a0+git12", BROKEN, "PyTorch cannot be loaded: numpy has changed"),
        ("2.4.0.post1", "raise AttributeError", "PyTorch cannot be loaded: AttributeError"),
        ("2.3a0+git12", "", "PyTorch 2.3a0+git12 is too old: 2.4 is needed"),
        ("1.13.1", "", "PyTorch 1.13.1 is too old: 2.4 is needed"),
    ],
)
def test_a_pytorch_that_cannot_be_used_is_told_in_one_sentence(
    tmp_path: Path, version: str, code: str, said: str
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(code)
    described = tmp_path / f"torch-{version}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "nas_incep", "probe", "quick", "--engine", "torch"],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, f"nas-incep: {said}\n")
