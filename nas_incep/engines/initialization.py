"""The spread of activations and gradients in a freshly initialized network, layer by layer.

One batch is sent forward and its loss backward, before any training step. Where activations or
gradients shrink or grow from layer to layer, training starts with layers that hardly learn or that
learn far too fast (Glorot and Bengio, "Understanding the difficulty of training deep feedforward
neural networks", 2010; He et al., arXiv:1502.01852).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..architecture import Architecture
from ..errors import InputError
from ..recipe import INITIALIZERS

if TYPE_CHECKING:
    from rich.table import Table

    from .base import Engine

FORMAT = "nas-incep-initialisation"
VERSION = 1

# MSRAPrelu and Xavier scale the deviation with the layer's size; Normal has MXNet's default sigma.
TITLES = {"msra": "MSRA", "xavier": "Xavier", "normal": "Normal (sigma 0.01)"}


@dataclass(frozen=True)
class LayerSpread:
    """The spread of one convolution's activations and of its weight's gradient.

    With `relu`, as in every Inception unit, the activations are taken after the layer's ReLU (and
    after its batch normalization, if any). In the pre-activated head they are the convolution's own
    output.
    """

    layer: str  # its place in the network: features.0.0.p1_conv_1
    relu: bool
    activation_std: float
    zeros: float  # the fraction of activations that are 0; with `relu`, inactive for this batch
    gradient_std: float  # of the mean loss with respect to the weight


@dataclass(frozen=True)
class Spread:
    """The spread in every layer of a network under one initializer, in order of execution."""

    initializer: str
    batch_norm: bool
    loss: float  # the mean cross-entropy; guessing gives ln(classes)
    layers: tuple[LayerSpread, ...]

    @property
    def title(self) -> str:
        """The initializer's title, with `BN` where there is batch normalization."""
        return TITLES[self.initializer] + (", BN" if self.batch_norm else "")


def measure_spread(
    engine: Engine,
    architecture: Architecture,
    images: np.ndarray,
    labels: np.ndarray,
    initializer: str,
    seed: int,
    device: str,
) -> Spread:
    """Measure one forward and backward pass of a freshly initialized network.

    `images` are normalized, `(n, channels, h, w)`; `labels` are their classes, `(n,)`; `device` is
    as `engine.resolve` returns it. The network is in training mode, so batch normalization uses the
    mean and variance of this batch. Equal seeds give equal results. Raises InputError if the
    initializer is unknown or images and labels do not fit the architecture.
    """
    _check(architecture, images, labels, initializer)
    loss, layers = engine.first_step(architecture, images, labels, initializer, seed, device)
    return Spread(initializer, architecture.batch_norm, loss, layers)


def measure_all(
    engine: Engine,
    architecture: Architecture,
    images: np.ndarray,
    labels: np.ndarray,
    seed: int,
    device: str,
) -> list[Spread]:
    """Measure every initializer on the architecture, without and with batch normalization.

    The arguments are those of `measure_spread`.
    """
    return [
        measure_spread(
            engine,
            dataclasses.replace(architecture, batch_norm=batch_norm),
            images,
            labels,
            initializer,
            seed,
            device,
        )
        for initializer in INITIALIZERS
        for batch_norm in (False, True)
    ]


def _check(
    architecture: Architecture, images: np.ndarray, labels: np.ndarray, initializer: str
) -> None:
    if initializer not in INITIALIZERS:
        known = ", ".join(INITIALIZERS)
        raise InputError(f"unknown initializer {initializer!r}; the initializers are {known}")
    if images.shape[1:] != architecture.input_shape or images.shape[:1] != labels.shape:
        raise InputError(
            f"images of shape {images.shape} and labels of shape {labels.shape}: expected are "
            f"(n, {', '.join(map(str, architecture.input_shape))}) and (n,)"
        )
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= architecture.classes:
        raise InputError(
            f"the spread is measured on at least one image, with labels from 0 to "
            f"{architecture.classes - 1}"
        )


def activations_spread(values: np.ndarray) -> tuple[float, float]:
    """The deviation of a layer's activations, and the fraction of them that are 0."""
    return deviation(values), float((values == 0).mean())


def layer_spread(layer: str, seen: tuple[float, float], gradient: np.ndarray) -> LayerSpread:
    """The spread of a layer from what `activations_spread` gave and its weight's gradient."""
    return LayerSpread(layer, layer.startswith("features."), *seen, deviation(gradient))


def deviation(values: np.ndarray) -> float:
    """The standard deviation; the squares of small gradients would underflow in float32."""
    return float(values.std(dtype=np.float64))


def to_json(spreads: Sequence[Spread]) -> dict[str, Any]:
    """A JSON value of all spreads, with None for numbers that are not finite."""

    def finite(value: Any) -> Any:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {
        "format": FORMAT,
        "version": VERSION,
        "spreads": [
            {
                "initializer": spread.initializer,
                "batch_norm": spread.batch_norm,
                "loss": finite(spread.loss),
                "layers": [
                    {key: finite(value) for key, value in dataclasses.asdict(layer).items()}
                    for layer in spread.layers
                ],
            }
            for spread in spreads
        ],
    }


def to_table(spreads: Sequence[Spread]) -> Table:
    """A table of the spreads of one architecture: a row per layer, and the losses in the last row.

    Each spread has two columns, the deviations of activations (act) and of gradients (grad).
    """
    from rich import box
    from rich.table import Table

    table = Table(
        title="Standard deviations of activations and of weight gradients before training",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("\n\nlayer", no_wrap=True)
    for spread in spreads:
        name = TITLES[spread.initializer].partition(" ")[0]
        mark = "BN" if spread.batch_norm else "no BN"
        table.add_column(f"{name}\n{mark}\nact", justify="right", no_wrap=True)
        table.add_column("\n\ngrad", justify="right", no_wrap=True)
    for row in zip(*(spread.layers for spread in spreads)):
        pairs = [(layer.activation_std, layer.gradient_std) for layer in row]
        table.add_row(row[0].layer, *(_short(value) for pair in pairs for value in pair))
    table.add_section()
    table.add_row("loss", *(text for s in spreads for text in (_short(s.loss), "")))
    return table


def _short(value: float) -> str:
    """The value in two significant digits: 0.91, 35, 1.2e-5."""
    text = f"{value:.2g}"
    if 1e-3 <= abs(value) < 1e3:
        return text if "e" not in text else f"{value:.0f}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
