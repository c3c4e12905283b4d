"""Names of devices that PyTorch has and this engine cannot use."""

from __future__ import annotations

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
