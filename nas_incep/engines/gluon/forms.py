"""The form in which a network is trained and evaluated: packed, or as it is.

Training is done in any precision that the form can; evaluation in float32 always, so that recorded
accuracies mean the same whatever a network was trained in, and come back when it is loaded again.
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
    """Two HybridBlocks of the same parameters: one to train with, one to evaluate with.

    Each takes what `inputs` makes of images `(batch, channels, h, w)`, in float32. `load` gives
    them the parameters of the network that they stand for, `store` gives theirs back to it.
    """

    name: str  # equal names have parameters of equal shapes
    training: Any
    evaluation: Any
    inputs: Callable[[np.ndarray], list[np.ndarray]]
    load: Callable[[], None]
    store: Callable[[], None]


def make_form(network: Any, precision: str, device: Any) -> Form:
    """The fastest form of an initialised network on the device.

    A network that is none of an architecture's, a baseline, stays as it is, in float32.
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
        f"packed for {'CPUs' if on_cpu else 'GPUs'} in {precision}",
        packed,
        evaluation,
        packed.inputs,
        lambda: packed.load(network),
        lambda: packed.store(network),
    )
    form.load()
    return form


def _nothing() -> None:
    pass


def check_precision(precision: str, device: Any) -> None:
    """Raises InputError where the device cannot train in that precision."""
    place = device_name(device)
    if precision == BFLOAT16 and place != "cpu":
        raise InputError(f"--precision bfloat16: MXNet has it on CPUs only, not on {place}")
    if precision == BFLOAT16 and not has_bfloat16():
        raise InputError(
            "--precision bfloat16: this processor does not multiply in bfloat16 "
            "(avx512_bf16 or amx_bf16 is needed); float32 works everywhere"
        )
    if precision == FLOAT16 and place == "cpu":
        raise InputError("--precision float16: MXNet has it on GPUs only, not on the cpu")
