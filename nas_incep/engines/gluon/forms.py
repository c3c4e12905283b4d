"""The form in which a network is trained and evaluated: packed, or unchanged.

Training may use another precision; evaluation is always in float32, so that recorded accuracies are
comparable and can be reproduced when the network is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._machine import BFLOAT16, FLOAT16, FLOAT32, has_bfloat16
from ...errors import InputError
from .networks import Network
from .packed import PackedNetwork
from .runtime import device_name


@dataclass(frozen=True)
class Form:
    """Two HybridBlocks that share parameters: one to train, one to evaluate.

    Each takes, in float32, the arrays that `inputs` makes of images `(batch, channels, h, w)`.
    `load` copies the original network's parameters into them, `store` copies theirs back.
    """

    name: str  # for one network, forms of equal names have parameters of equal shapes
    training: Any
    evaluation: Any
    inputs: Callable[[np.ndarray], list[np.ndarray]]
    load: Callable[[], None]
    store: Callable[[], None]


def make_form(network: Any, precision: str, device: Any) -> Form:
    """Make the fastest form of an initialized network on the device.

    `network` is a `Network`, or a baseline, which is left unchanged and computes in float32.
    `precision` is that of training; see `check_precision`.
    """
    if not isinstance(network, Network):
        return Form("as it is", network, network, lambda images: [images], _nothing, _nothing)
    on_cpu = device_name(device) == "cpu"
    packed = PackedNetwork(network.architecture, precision, on_cpu)
    packed.initialize(ctx=device)
    evaluation = packed
    if precision != FLOAT32:
        evaluation = PackedNetwork(network.architecture, FLOAT32, on_cpu, like=packed)
    form = Form(
        _name(packed),
        packed,
        evaluation,
        packed.inputs,
        lambda: packed.load(network),
        lambda: packed.store(network),
    )
    form.load()
    return form


def _name(packed: PackedNetwork) -> str:
    place = "CPUs" if packed.on_cpu else "GPUs"
    return f"packed for {place} in {packed.precision}{' by AMX' if packed.by_amx else ''}"


def _nothing() -> None:
    pass


def check_precision(precision: str, device: Any) -> None:
    """Raise InputError if the device cannot train in that precision."""
    place = device_name(device)
    if precision == BFLOAT16 and place != "cpu":
        raise InputError(f"--precision bfloat16: MXNet supports it on CPUs only, not on {place}")
    if precision == BFLOAT16 and not has_bfloat16():
        raise InputError(
            "--precision bfloat16: this processor does not multiply in bfloat16 "
            "(avx512_bf16 or amx_bf16 is needed); float32 works everywhere"
        )
    if precision == FLOAT16 and place == "cpu":
        raise InputError("--precision float16: MXNet supports it on GPUs only, not on the cpu")
