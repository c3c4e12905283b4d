"""The packed form of a network is the same function, with the same parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.networks import architectures
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from nas_incep.architecture import Architecture  # noqa: E402
from nas_incep.engines.torch.networks import build_network  # noqa: E402
from nas_incep.engines.torch.packed import PackedNetwork  # noqa: E402
from nas_incep.engines.torch.training import initialize  # noqa: E402
from nas_incep.stages import parameters_of  # noqa: E402


def pair(architecture: Architecture) -> tuple[Any, Any]:
    packed, plain = PackedNetwork(architecture), build_network(architecture)
    initialize(packed, "xavier", 1)
    for name, array in packed.arrays().items():  # any values, not those that training starts with
        shift = torch.from_numpy(np.random.default_rng(len(name)).random(tuple(array.shape)))
        array.add_(shift.float() * 0.1)
    plain.load_state_dict(packed.arrays())
    return packed, plain


@settings(deadline=None, max_examples=40)
@given(architectures(st.integers(1, 12)), st.booleans())
def test_it_computes_what_the_network_computes(architecture: Architecture, training: bool) -> None:
    packed, plain = pair(architecture)
    named = {parameter.name: parameter.shape for parameter in parameters_of(architecture)}
    assert {name: tuple(array.shape) for name, array in packed.arrays().items()} == named
    images = torch.from_numpy(
        np.random.default_rng(0).random((5, *architecture.input_shape), dtype=np.float32)
    )
    one, other = packed.train(training)(images), plain.train(training)(images)
    assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)
    labels = torch.arange(5) % architecture.classes
    for scores in (one, other):
        torch.nn.functional.cross_entropy(scores, labels).backward()
    theirs = {name: value.grad for name, value in plain.named_parameters()}
    for module in packed.modules():
        for name, array, start, end in getattr(module, "parts", ()):
            value = getattr(module, array)
            if name in theirs:
                found = value.grad[start:end]
                assert torch.allclose(found, theirs[name], rtol=1e-3, atol=1e-5), name
            else:
                expected = dict(plain.named_buffers())[name]
                assert torch.allclose(value[start:end], expected, rtol=1e-4, atol=1e-6), name
