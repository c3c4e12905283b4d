"""Where each parameter of a network lies in the arrays of its packed form.

A packed array is a network's parameter with zero padding between or behind its channels, or those
of several parallel branches side by side. docs/speed.md gives the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...architecture import Architecture
from ...stages import Convolution, Parameter, Stage, head_stages, unit_stages


@dataclass(frozen=True)
class Channels:
    """Where the channels of a network's tensor lie in the packed tensor, which has `width`."""

    places: np.ndarray
    width: int


@dataclass(frozen=True)
class Part:
    """Where one parameter of the network lies in a packed array: its rows and columns.

    `parameter` is its canonical name. A bias or a normalization's parameter has no columns.
    """

    array: str
    parameter: str
    rows: np.ndarray
    columns: np.ndarray | None = None

    @property
    def index(self) -> tuple[Any, ...]:
        """Selects the parameter from the packed array, in numpy's terms."""
        return (self.rows,) if self.columns is None else np.ix_(self.rows, self.columns)


class Layout:
    """The arrays of a packed network, and where each parameter of the network lies in them.

    Channels are padded to a multiple of `block`, or of `small_block` where that is faster; the
    image's channels to a multiple of `image_block`. `shapes` has the shape of each array by name,
    `parts` one entry for each parameter, `blocks` the names of each block's units.
    """

    def __init__(
        self, architecture: Architecture, block: int, small_block: int, image_block: int
    ) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.parts: list[Part] = []
        self.blocks: list[list[str]] = []
        last = len(architecture.blocks) - 1
        maps = self.image = _padded(architecture.input_shape[0], image_block)
        for b, (widths, units) in enumerate(zip(architecture.blocks, unit_stages(architecture))):
            # Only between two poolings: where blocks of 8 and of 16 meet at a normalization, MXNet
            # is slow or fails.
            small = max(widths[1:]) <= small_block and len(units) == 1 and b < last
            names = [f"b{b}u{u}" for u in range(len(units))]
            for name, unit in zip(names, units):
                maps = self._unit(name, unit, maps, small_block if small else block)
            self.blocks.append(names)
        self.outputs = maps if architecture.same_shape else _padded(architecture.classes, block)
        self._head(head_stages(architecture), maps)

    def _unit(self, name: str, unit: Stage, maps: Channels, block: int) -> Channels:
        """Adds a unit that reads `maps`; returns the channels of its concatenated branches."""
        inner: dict[str, tuple[Convolution, Channels]] = {}
        ends: list[tuple[Convolution, Channels]] = []
        for branch in unit.branches:
            outputs = maps
            for convolution in branch:
                key = convolution.layer.rpartition(".")[2]
                inputs, outputs = outputs, _padded(convolution.outputs, block)
                self._convolution(f"{name}_{key}", convolution, inputs, outputs)
                if convolution is not branch[-1]:
                    inner[key.partition("_")[0]] = (convolution, outputs)  # p2, p3
            ends.append((branch[-1], outputs))
        for key, (convolution, outputs) in inner.items():
            self._norm(f"{name}_{key}_norm", [(convolution.norm, outputs)])
        self._norm(f"{name}_norm", [(convolution.norm, outputs) for convolution, outputs in ends])
        return _side_by_side([outputs for _, outputs in ends])

    def _head(self, stages: Sequence[Stage], maps: Channels) -> None:
        """Adds the head, whose first convolution and shortcut read `maps`."""
        for number, (stage, inputs) in enumerate(zip(stages, (maps, self.outputs, maps)), 1):
            (convolution,) = stage.convolutions
            self._norm(f"head_norm{number}", [(convolution.norm, inputs)])
            self._convolution(f"head_conv{number}", convolution, inputs, self.outputs)

    def _convolution(
        self, name: str, convolution: Convolution, inputs: Channels, outputs: Channels
    ) -> None:
        kernel = (convolution.kernel, convolution.kernel)
        weight, bias = convolution.weight, convolution.bias
        self.shapes[f"{name}_weight"] = (outputs.width, inputs.width, *kernel)
        self.parts.append(Part(f"{name}_weight", weight.name, outputs.places, inputs.places))
        if bias:
            self.shapes[f"{name}_bias"] = (outputs.width,)
            self.parts.append(Part(f"{name}_bias", bias.name, outputs.places))

    def _norm(self, name: str, branches: Sequence[tuple[Sequence[Parameter], Channels]]) -> None:
        """Adds one batch normalization for several branches side by side."""
        width = sum(channels.width for _, channels in branches)
        start = 0
        for parameters, channels in branches:
            for parameter in parameters:
                array = f"{name}_{parameter.kind}"
                self.shapes[array] = (width,)
                self.parts.append(Part(array, parameter.name, start + channels.places))
            start += channels.width


def _padded(count: int, block: int) -> Channels:
    return Channels(np.arange(count), -(-count // block) * block)


def _side_by_side(branches: Sequence[Channels]) -> Channels:
    starts = np.cumsum([0, *(branch.width for branch in branches)])
    places = [start + branch.places for start, branch in zip(starts, branches)]
    return Channels(np.concatenate(places), int(starts[-1]))
