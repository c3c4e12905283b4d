"""MXNet's AMX: when it is allowed, and that networks padded for it are the same function.

That oneDNN's kernels for AMX compute what they should needs them: `benchmarks/amx.py --emulate`
runs these tests, and those of test_packed.py, with the instructions emulated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from helpers.networks import architectures, built
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_incep import datasets as data
from nas_incep._machine import has_bfloat16
from nas_incep.architecture import Architecture, Block
from nas_incep.engines.gluon import amx, forms
from nas_incep.engines.gluon.networks import build_network
from nas_incep.engines.gluon.packed import PackedNetwork
from nas_incep.engines.gluon.runtime import mx
from nas_incep.engines.gluon.training import Training
from nas_incep.recipe import Recipe

NAME = "DNNL_MAX_CPU_ISA"
needs_bfloat16 = pytest.mark.skipif(
    not has_bfloat16(), reason="this processor does not multiply in bfloat16"
)


@pytest.fixture(autouse=True)
def own_variable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test sets is undone; MXNet has read the variable long since."""
    before = os.environ.get(NAME)
    yield
    if before is None:
        os.environ.pop(NAME, None)
    else:
        os.environ[NAME] = before


def allowed(
    monkeypatch: pytest.MonkeyPatch, processor: bool, kernel: bool, given: str | None = None
) -> str | None:
    """The variable that MXNet reads, after this processor's and this kernel's answers."""
    monkeypatch.setattr(amx, "has_amx", lambda: processor)
    monkeypatch.setattr(amx, "_permitted", lambda: kernel)
    monkeypatch.delenv(NAME, raising=False)
    if given:
        monkeypatch.setenv(NAME, given)
    amx.allow_amx()
    return os.environ.get(NAME)


def test_amx_is_allowed_where_the_processor_has_it_and_linux_permits_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert allowed(monkeypatch, True, True) == "AVX512_CORE_AMX"
    assert amx.uses_amx()
    assert allowed(monkeypatch, False, True) is None
    assert allowed(monkeypatch, True, False) is None
    assert not amx.uses_amx()


def test_an_inherited_variable_without_its_permission_would_end_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert allowed(monkeypatch, True, False, "AVX512_CORE_AMX") is None
    assert allowed(monkeypatch, False, False, "AVX512_CORE_AMX") is None


def test_the_users_own_limit_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    assert allowed(monkeypatch, True, True, "AVX512_CORE_BF16") == "AVX512_CORE_BF16"
    assert not amx.uses_amx()
    assert allowed(monkeypatch, False, False, "AVX2") == "AVX2"


def test_linux_answers_the_request_without_harm() -> None:
    assert amx._permitted() in (True, False)


def gradients(form: Any, inputs: list[Any]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The scores, and what the sum of their squares gives for each array."""
    with mx.autograd.record():
        scores = form(*inputs)
        loss = (scores**2).sum()
    loss.backward()
    trained = form._collect_params_with_prefix().items()
    return scores.asnumpy(), {k: p.grad().asnumpy() for k, p in trained if p.grad_req != "null"}


@needs_bfloat16
@settings(deadline=None, max_examples=15)
@given(architectures(st.sampled_from([8, 20, 40])))
def test_padded_for_amx_a_network_is_the_same_function(architecture: Architecture) -> None:
    os.environ[NAME] = "AVX512_CORE_AMX"
    network = built(architecture)
    form = PackedNetwork(architecture, "bfloat16")
    form.initialize(ctx=mx.cpu())
    form.load(network)
    form.hybridize(static_alloc=True, static_shape=True)
    for name, array in form.layout.shapes.items():
        if name.endswith("_weight") and not name.startswith("head"):
            assert array[0] % 32 == 0 and array[1] % 32 == 0, name
    shape = (8, *architecture.input_shape)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found, slopes = gradients(form, [mx.nd.array(p / 128.0 - 1) for p in form.inputs(pixels)])
    expected, _ = gradients(network, [mx.nd.array(pixels / 128.0 - 1)])
    assert found == pytest.approx(expected, abs=0.1 * np.abs(expected).max() + 1e-3)
    # What pads stays zero.
    for name, slope in slopes.items():
        rest = np.ones(slope.shape, bool)
        for part in form.layout.parts:
            if part.array == name:
                rest[part.index] = False
        assert not slope[rest].any(), name


@needs_bfloat16
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_training_goes_the_way_of_one_in_float32(batch_norm: bool) -> None:
    os.environ[NAME] = "AVX512_CORE_AMX"
    blocks = (Block(1, 8, 12, 10, 5, 8, 16), Block(1, 20, 9, 16, 4, 8, 8))
    architecture = Architecture(blocks, batch_norm, input_shape=(1, 8, 8))
    recipe = Recipe(epochs=3, batch_size=32, learning_rate=0.01, images_per_epoch=320)
    losses = {}
    for precision in ("float32", "bfloat16"):
        training = Training(
            build_network(architecture), data.load("digits"), recipe, 0, mx.cpu(), precision
        )
        losses[precision] = [training.run_epoch().loss for _ in range(3)]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.05)


@needs_bfloat16
def test_only_bfloat16_is_padded_for_amx() -> None:
    os.environ[NAME] = "AVX512_CORE_AMX"
    network = built(Architecture((Block(1, 8, 8, 8, 8, 8, 8),)))
    assert forms.make_form(network, "float32", mx.cpu()).name == "packed for CPUs in float32"
    assert forms.make_form(network, "bfloat16", mx.cpu()).name.endswith("in bfloat16 by AMX")
