"""Pictures of how activations and gradients spread, layer by layer, under each initializer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._files import atomic_file, picture_format
from .initialization import Spread

# Okabe and Ito's palette, which color-blind readers can tell apart.
_COLORS = {"msra": "#0072B2", "xavier": "#D55E00", "normal": "#009E73"}
_MARKERS = {"msra": "o", "xavier": "s", "normal": "^"}


def draw(spreads: Sequence[Spread], path: Path) -> None:
    """Draw the spreads of one architecture into a .png, .svg or .pdf file.

    The upper panel shows the deviations of activations, the lower one those of gradients, over the
    layers in order. A value of 0 is a gap, since the scale is logarithmic. The file is written
    atomically. Raises InputError if its name has another extension.
    """
    kind = picture_format(path)
    from matplotlib.figure import Figure

    layers = [layer.layer for layer in spreads[0].layers]
    # All sizes are in inches: margins for the labels, and a column for each layer.
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
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format=kind)


def _plot(axes: Any, spreads: Sequence[Spread], quantity: str) -> None:
    for spread in spreads:
        values = np.array([getattr(layer, quantity) for layer in spread.layers], dtype=float)
        values[~(np.isfinite(values) & (values > 0))] = np.nan
        axes.plot(
            values,
            color=_COLORS[spread.initializer],
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
    """Draws lines between units and between blocks, and their names above the upper panel."""
    units = [layer.rpartition(".")[0] for layer in layers]
    blocks = [".".join(layer.split(".")[:2]) for layer in layers]
    for groups, color, word, size, weight, points, room in (
        (units, "0.8", "unit", 7, "normal", 3, 0.36),
        (blocks, "0.4", "block", 8, "bold", 14, 0.45),
    ):
        starts = [i for i, group in enumerate(groups) if i == 0 or group != groups[i - 1]]
        for start, end in zip(starts, [*starts[1:], len(groups)]):
            if start:
                for axes in (upper, lower):
                    axes.axvline(start - 0.5, color=color, linewidth=0.8, zorder=0)
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
    """Writes the layers' names along the bottom, as many as fit at 0.11 inches each."""
    every = math.ceil(0.11 / column)
    shown = range(0, len(layers), every)
    names = [layers[i].rpartition(".")[2] for i in shown]
    axes.set_xticks(list(shown))
    axes.set_xticklabels(names, rotation=90, fontsize=7)
