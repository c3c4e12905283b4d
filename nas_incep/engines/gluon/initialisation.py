"""What an initialiser does to a network before the first step.

A batch goes forward and its loss back, once, through a network whose parameters have only their
first values. Where the activations or the gradients shrink or grow from layer to layer, training
starts with layers that hardly learn, or that learn far too fast (Glorot and Bengio, "Understanding
the difficulty of training deep feedforward neural networks", 2010; He et al., arXiv:1502.01852).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._files import atomic_file
from ...architecture import Architecture
from ...errors import InputError
from ...recipe import INITIALIZERS
from .networks import build_network
from .runtime import mx, release_memory
from .training import initialise

if TYPE_CHECKING:
    from rich.table import Table

nn: Any = mx.gluon.nn

FORMAT = "nas-incep-initialisation"
VERSION = 1

# MSRAPrelu and Xavier fit the deviation to the layer's size; Normal is MXNet's own default.
TITLES = {"msra": "MSRA", "xavier": "Xavier", "normal": "Normal (sigma 0.01)"}
# Told apart by the colour-blind, too (Okabe and Ito's palette).
_COLOURS = {"msra": "#0072B2", "xavier": "#D55E00", "normal": "#009E73"}
_MARKERS = {"msra": "o", "xavier": "s", "normal": "^"}
PICTURE_FORMATS = ("png", "svg", "pdf")


@dataclass(frozen=True)
class LayerSpread:
    """One convolution: what leaves it, and what the loss says to its weight.

    With `relu` the activations are those behind the layer's ReLU (and behind batch normalisation
    where there is one), as in every Inception unit. The head is pre-activated: there they are what
    the convolution itself gives.
    """

    layer: str  # its place in the network, as in features.0.0.p1_conv_1
    relu: bool
    activation_std: float
    zeros: float  # the part of the activations that is 0: with `relu`, dead for this batch
    gradient_std: float  # of the mean loss with respect to the weight


@dataclass(frozen=True)
class Spread:
    """The layers of one network under one initialiser, in the order in which they compute."""

    initializer: str
    batch_norm: bool
    loss: float  # the mean cross-entropy; guessing has ln(classes)
    layers: tuple[LayerSpread, ...]

    @property
    def title(self) -> str:
        return TITLES[self.initializer] + (", BN" if self.batch_norm else "")


def measure_spread(
    architecture: Architecture,
    images: np.ndarray,
    labels: np.ndarray,
    initializer: str,
    seed: int,
    device: Any,
) -> Spread:
    """Sends normalised images `(n, channels, h, w)` and back their labels' `(n,)` loss, once.

    In training mode, so that batch normalisation takes the mean and deviation of this batch.
    """
    _check(architecture, images, labels, initializer)
    network = build_network(architecture)
    initialise(network, initializer, seed, architecture.input_shape, device)
    seen: dict[str, tuple[float, float]] = {}
    convolutions = {}
    # Not hybridised, the network calls each layer by itself, and hooks see what comes out.
    for name, layer, convolution in _layers(network):
        layer.register_forward_hook(_observer(name, seen))
        convolutions[name] = convolution
    x, y = mx.nd.array(images, ctx=device), mx.nd.array(labels, ctx=device)
    with mx.autograd.record():
        loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()(network(x), y).mean()
    loss.backward()
    layers = []
    for name, (activation_std, zeros) in seen.items():
        weight = convolutions[name].weight
        gradient_std = _deviation(weight.grad(device).asnumpy())
        relu = name.startswith("features.")
        layers.append(LayerSpread(name, relu, activation_std, zeros, gradient_std))
    return Spread(initializer, architecture.batch_norm, float(loss.asscalar()), tuple(layers))


def measure_all(
    architecture: Architecture, images: np.ndarray, labels: np.ndarray, seed: int, device: Any
) -> list[Spread]:
    """Every initialiser on the architecture without and with batch normalisation."""
    spreads = []
    for initializer in INITIALIZERS:
        for batch_norm in (False, True):
            variant = dataclasses.replace(architecture, batch_norm=batch_norm)
            spreads.append(measure_spread(variant, images, labels, initializer, seed, device))
            release_memory(device)
    return spreads


def _check(
    architecture: Architecture, images: np.ndarray, labels: np.ndarray, initializer: str
) -> None:
    if initializer not in INITIALIZERS:
        known = ", ".join(INITIALIZERS)
        raise InputError(f"unknown initialiser {initializer!r}; the initialisers are {known}")
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


def _layers(block: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any, Any]]:
    """(name, layer, its convolution): a layer is a convolution, or one with BatchNorm and ReLU."""
    for key, child in block._children.items():
        here = (*path, key)
        first = next(iter(child._children.values()), None)
        if isinstance(child, nn.Conv2D):
            yield ".".join(here), child, child
        elif isinstance(first, nn.Conv2D) and isinstance(child, nn.HybridSequential):
            yield ".".join(here), child, first
        else:
            yield from _layers(child, here)


def _observer(name: str, seen: dict[str, tuple[float, float]]) -> Callable[..., None]:
    def observe(layer: Any, inputs: Any, output: Any) -> None:
        values = output.asnumpy()
        seen[name] = _deviation(values), float((values == 0).mean())

    return observe


def _deviation(values: np.ndarray) -> float:
    # In float32 the squares of small gradients would vanish.
    return float(values.std(dtype=np.float64))


def to_json(spreads: Sequence[Spread]) -> dict[str, Any]:
    """A JSON value; what is not finite becomes None."""

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
    """Layers of one architecture as rows; for each spread activations (act) and gradients (grad).

    The last row has the losses.
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
    """Two digits: 0.91, 35, 1.2e-5."""
    text = f"{value:.2g}"
    if 1e-3 <= abs(value) < 1e3:
        return text if "e" not in text else f"{value:.0f}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def picture_format(path: Path) -> str:
    """The format that a picture's name asks for. Raises InputError where it is none of ours."""
    kind = path.suffix.lower().lstrip(".")
    if kind not in PICTURE_FORMATS:
        known = ", ".join(f".{name}" for name in PICTURE_FORMATS)
        raise InputError(f"{path}: a picture's name ends in one of {known}")
    return kind


def draw(spreads: Sequence[Spread], path: Path) -> None:
    """Writes a picture of spreads of one architecture: a .png, .svg or .pdf file.

    Above the activations, below the gradients, both over the layers in order; a value of 0, which
    a logarithmic scale cannot show, is a gap.
    """
    kind = picture_format(path)
    from matplotlib.figure import Figure

    layers = [layer.layer for layer in spreads[0].layers]
    # All sizes in inches: room for the labels, and a column for each layer.
    left, right, top, bottom, panel, gap = 0.85, 0.15, 0.9, 0.85, 2.5, 0.12
    column = min(0.22, 24 / len(layers))
    width = max(8.5, left + right + column * len(layers))
    column = (width - left - right) / (len(layers) + 1)
    height = top + 2 * panel + gap + bottom
    figure = Figure(figsize=(width, height), dpi=150)
    upper, lower = figure.subplots(2, 1, sharex=True)
    figure.subplots_adjust(
        left / width, bottom / height, 1 - right / width, 1 - top / height, hspace=gap / panel
    )
    _plot(upper, spreads, "activation_std")
    _plot(lower, spreads, "gradient_std")
    upper.set_ylabel("std of activations")
    lower.set_ylabel("std of weight gradients")
    lower.set_xlim(-1, len(layers))
    _label_groups(upper, lower, layers, column)
    _label_layers(lower, layers, column)
    handles, titles = upper.get_legend_handles_labels()
    figure.legend(
        handles,
        titles,
        loc="upper center",
        ncol=-(-len(spreads) // 2) if len(spreads) > 3 else len(spreads),
        frameon=False,
        fontsize=9,
    )
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format=kind)


def _plot(axes: Any, spreads: Sequence[Spread], quantity: str) -> None:
    for spread in spreads:
        values = np.array([getattr(layer, quantity) for layer in spread.layers], dtype=float)
        values[~(np.isfinite(values) & (values > 0))] = np.nan
        axes.plot(
            values,
            color=_COLOURS[spread.initializer],
            marker=_MARKERS[spread.initializer],
            linestyle="dashed" if spread.batch_norm else "solid",
            markerfacecolor="white" if spread.batch_norm else None,
            markersize=3.5,
            linewidth=1.2,
            label=spread.title,
        )
    axes.set_yscale("log")
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)


def _label_groups(upper: Any, lower: Any, layers: list[str], column: float) -> None:
    """Lines between the units and between the blocks, and their names above the picture."""
    units = [layer.rpartition(".")[0] for layer in layers]
    blocks = [".".join(layer.split(".")[:2]) for layer in layers]
    for groups, colour, word, size, weight, points, room in (
        (units, "0.8", "unit", 7, "normal", 3, 0.36),
        (blocks, "0.4", "block", 8, "bold", 14, 0.45),
    ):
        starts = [i for i, group in enumerate(groups) if i == 0 or group != groups[i - 1]]
        for start, end in zip(starts, [*starts[1:], len(groups)]):
            if start:
                for axes in (upper, lower):
                    axes.axvline(start - 0.5, color=colour, linewidth=0.8, zorder=0)
            if (end - start) * column < room:  # in inches
                continue
            kind, *numbers = groups[start].split(".")
            head = "head" if word == "block" else ""
            upper.annotate(
                f"{word} {numbers[-1]}" if kind == "features" else head,
                ((start + end - 1) / 2, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, points),
                textcoords="offset points",
                ha="center",
                fontsize=size,
                fontweight=weight,
            )


def _label_layers(axes: Any, layers: list[str], column: float) -> None:
    """The layers' own names along the bottom, as many as have room (0.11 inches each)."""
    every = math.ceil(0.11 / column)
    shown = range(0, len(layers), every)
    names = [layers[i].rpartition(".")[2] for i in shown]
    axes.set_xticks(list(shown))
    axes.set_xticklabels(names, rotation=90, fontsize=7)
