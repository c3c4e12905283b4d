"""The engines that tests of training go through, one after the other."""

from __future__ import annotations

import importlib.util

import pytest

# `make test TORCH=no` leaves PyTorch out.
TORCH = pytest.param(
    "torch",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("torch") is None, reason="PyTorch is not installed"
    ),
)
ENGINES = ["gluon", TORCH]
