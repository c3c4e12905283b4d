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

# Each makes a process one where a framework is not installed; see `commands.meddled`.
WITHOUT_MXNET = """
import importlib.metadata, sys
sys.modules["mxnet"] = sys.modules["gluoncv"] = None
every = importlib.metadata.distributions
importlib.metadata.distributions = lambda **options: (
    found
    for found in every(**options)
    if not str(found.metadata["Name"]).startswith(("mxnet", "gluoncv"))
)
"""
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
"""
