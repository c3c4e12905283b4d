"""The steps of an architecture's network, and its parameters by their canonical names.

The names, shapes and order are those of Gluon's `save_parameters` for the plain network. Every
engine uses them in `.params` files, however it arranges its own arrays. Needs no framework.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .architecture import Architecture, Block

STATISTIC_KINDS = ("running_mean", "running_var")
NORM_KINDS = ("gamma", "beta", *STATISTIC_KINDS)


class Parameter(NamedTuple):
    """One named array of a network: `features.0.0.p1_conv_1.weight` of shape (64, 3, 1, 1).

    `kind` is the last part of the name: weight, bias, or one of batch normalization's NORM_KINDS.
    """

    name: str
    shape: tuple[int, ...]
    kind: str

    @property
    def trainable(self) -> bool:
        """Whether an optimizer updates it; a running statistic follows the batches instead."""
        return self.kind not in STATISTIC_KINDS

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Convolution:
    """The parameters of a convolution and of the batch normalization that goes with it.

    In an Inception unit, batch normalization follows the convolution and its beta replaces the
    bias. In the pre-activated head it comes before the convolution, which keeps its bias.
    """

    layer: str  # where it is in the network: features.0.0.p1_conv_1, output.0.conv1
    weight: Parameter  # (outputs, inputs, kernel, kernel)
    bias: Parameter | None  # (outputs,)
    norm: tuple[Parameter, ...]  # in the order of NORM_KINDS, (channels,) each; () without one

    @property
    def inputs(self) -> int:
        """The channels it reads."""
        return self.weight.shape[1]

    @property
    def outputs(self) -> int:
        """The channels it writes."""
        return self.weight.shape[0]

    @property
    def kernel(self) -> int:
        """The kernel's height and width in pixels."""
        return self.weight.shape[2]

    @property
    def tensors(self) -> tuple[Parameter, ...]:
        """All its parameters in canonical order."""
        return (self.weight, *([self.bias] if self.bias else []), *self.norm)


@dataclass(frozen=True)
class Stage:
    """One step of the network, with its parameters and its cost for one image.

    `branches` run side by side on the stage's input; the convolutions of a branch run one after
    the other. A stage without parameters has no branches.
    """

    name: str
    what: str
    out_shape: tuple[int, ...]  # (channels, height, width), or (classes,) at the end
    branches: tuple[tuple[Convolution, ...], ...] = ()

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        """The convolutions of all branches, in canonical order."""
        return tuple(convolution for branch in self.branches for convolution in branch)

    @property
    def tensors(self) -> tuple[Parameter, ...]:
        """Every parameter and running statistic, in canonical order."""
        return tuple(p for convolution in self.convolutions for p in convolution.tensors)

    @property
    def parameters(self) -> int:
        """The number of trainable parameters, counted by element."""
        return sum(tensor.size for tensor in self.tensors if tensor.trainable)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image: one for each use of a convolution's weight."""
        weights = sum(convolution.weight.size for convolution in self.convolutions)
        return weights * math.prod(self.out_shape[1:])

    def to_json(self) -> dict[str, Any]:
        """Name, operation, output shape and cost, as `describe --format json` prints them."""
        return {
            "name": self.name,
            "what": self.what,
            "out_shape": self.out_shape,
            "parameters": self.parameters,
            "macs": self.macs,
        }


def stages(architecture: Architecture) -> list[Stage]:
    """The steps of the network in order."""
    steps = []
    for b, units in enumerate(unit_stages(architecture)):
        channels, height, width = units[-1].out_shape
        pooled = (channels, height // 2, width // 2)
        steps += [*units, Stage(f"block {b} pooling", "max 2x2", pooled)]
    pooling = Stage("output", "global average pooling", (architecture.classes,))
    return [*steps, *head_stages(architecture), pooling]


def counted_stages(architecture: Architecture) -> list[tuple[int, Stage]]:
    """The stages that have parameters, each with how often it occurs.

    After its first unit, all units of a block are equal, so costs need not visit each of them.
    """
    steps = []
    for block, units in zip(architecture.blocks, unit_stages(architecture, most=2)):
        steps += [(1, units[0]), *((block.num_convs - 1, unit) for unit in units[1:])]
    return steps + [(1, stage) for stage in head_stages(architecture)]


def parameters_of(architecture: Architecture) -> list[Parameter]:
    """Every parameter and running statistic of the network, in canonical order."""
    return [tensor for stage in stages(architecture) for tensor in stage.tensors]


def unit_stages(architecture: Architecture, most: int | None = None) -> list[list[Stage]]:
    """The Inception units of each block, without the pooling that ends it; the first `most`."""
    channels, height, width = architecture.input_shape
    what = "Inception" + (" with batch norm" if architecture.batch_norm else "")
    blocks = []
    for b, block in enumerate(architecture.blocks):
        units = []
        for u in range(block.num_convs)[:most]:
            branches = _branches(f"features.{b}.{u}", block, channels, architecture.batch_norm)
            channels = block.out_channels
            units.append(Stage(f"block {b} unit {u}", what, (channels, height, width), branches))
        blocks.append(units)
        height, width = height // 2, width // 2
    return blocks


def head_stages(architecture: Architecture) -> list[Stage]:
    """The convolutions of the pre-activated residual unit (He et al., arXiv:1603.05027).

    The first two run one after the other. The third, on the shortcut, reads what the first reads;
    there is none with `same_shape`.
    """
    channels, classes = architecture.blocks[-1].out_channels, architecture.classes
    _, height, width = architecture.input_shape
    height, width = (size >> len(architecture.blocks) for size in (height, width))
    if not architecture.same_shape:
        height, width = (height + 1) // 2, (width + 1) // 2

    def stage(number: int, what: str, inputs: int, kernel: int, normalized: bool) -> Stage:
        layer = f"output.0.conv{number}"
        convolution = Convolution(
            layer,
            _weight(layer, inputs, classes, kernel),
            _bias(layer, classes),
            _norm(f"output.0.bn{number}", inputs) if normalized else (),
        )
        return Stage(f"head conv{number}", what, (classes, height, width), ((convolution,),))

    steps = [
        stage(1, "batch norm, ReLU, 3x3", channels, 3, normalized=True),
        stage(2, "batch norm, ReLU, 3x3", classes, 3, normalized=True),
    ]
    if not architecture.same_shape:
        steps.append(stage(3, "1x1 on the shortcut", channels, 1, normalized=False))
    return steps


def _branches(
    unit: str, block: Block, channels: int, batch_norm: bool
) -> tuple[tuple[Convolution, ...], ...]:
    """The four branches of an Inception unit that reads `channels` maps."""

    def convolution(name: str, inputs: int, outputs: int, kernel: int) -> Convolution:
        layer = f"{unit}.{name}"
        if not batch_norm:
            weight = _weight(layer, inputs, outputs, kernel)
            return Convolution(layer, weight, _bias(layer, outputs), ())
        # Gluon numbers the layers of a sequence: 0 is the convolution, 1 its normalization.
        weight = _weight(f"{layer}.0", inputs, outputs, kernel)
        return Convolution(layer, weight, None, _norm(f"{layer}.1", outputs))

    _, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1 = block
    return (
        (convolution("p1_conv_1", channels, n1_1, 1),),
        (convolution("p2_conv_1", channels, n2_1, 1), convolution("p2_conv_3", n2_1, n2_3, 3)),
        (convolution("p3_conv_1", channels, n3_1, 1), convolution("p3_conv_5", n3_1, n3_5, 5)),
        (convolution("p4_conv_1", channels, n4_1, 1),),
    )


def _weight(place: str, inputs: int, outputs: int, kernel: int) -> Parameter:
    return Parameter(f"{place}.weight", (outputs, inputs, kernel, kernel), "weight")


def _bias(place: str, outputs: int) -> Parameter:
    return Parameter(f"{place}.bias", (outputs,), "bias")


def _norm(place: str, channels: int) -> tuple[Parameter, ...]:
    return tuple(Parameter(f"{place}.{kind}", (channels,), kind) for kind in NORM_KINDS)
