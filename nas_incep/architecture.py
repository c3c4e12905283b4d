"""Architectures: what they are, when they are valid, what they cost. Needs no framework.

An architecture is a stack of Inception "vgg blocks" under a Network-in-Network head (Lin, Chen,
Yan, "Network In Network", arXiv:1312.4400): a residual unit with one output map per class, then
global average pooling. The Inception unit is that of GoogLeNet (Szegedy et al., arXiv:1409.4842).
"""

from __future__ import annotations

import hashlib
import json
import operator
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ._files import parse_json, read_json
from ._formats import unwrap_optional
from .errors import InputError

FORMAT = "nas-incep-architecture"
VERSION = 1

MAX_CONVS = 64
MAX_WIDTH = 8192
# MXNet 1.9 counts the elements of a tensor with 32 bits.
MAX_TENSOR = 2**31 - 1


class Block(NamedTuple):
    """One vgg_block: `num_convs` equal Inception units, then 2x2 max pooling.

    A unit has four branches, concatenated on the channels: `n1_1` 1x1 maps; `n2_1` 1x1 maps, then
    `n2_3` 3x3; `n3_1` 1x1 maps, then `n3_5` 5x5; 3x3 max pooling, then `n4_1` 1x1 maps.
    """

    num_convs: int
    n1_1: int
    n2_1: int
    n2_3: int
    n3_1: int
    n3_5: int
    n4_1: int

    @property
    def out_channels(self) -> int:
        return self.n1_1 + self.n2_3 + self.n3_5 + self.n4_1


class Stage(NamedTuple):
    """One step of the network and its cost for one image."""

    name: str
    what: str
    out_shape: tuple[int, ...]  # (channels, height, width), or (classes,) at the end
    parameters: int
    macs: int


@dataclass(frozen=True)
class Architecture:
    """Blocks and the variant of the network that is built from them.

    The defaults are the notebook's: no batch normalisation inside the blocks, ReLU on the class
    maps, a residual head that halves the maps. `input_shape` is (channels, height, width).
    Raises InputError naming every fault at once.
    """

    blocks: tuple[Block, ...]
    batch_norm: bool = False
    relu_output: bool = True
    same_shape: bool = False
    classes: int = 10
    input_shape: tuple[int, int, int] = (3, 32, 32)

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            raise InputError("impossible architecture: " + "; ".join(faults))
        # Lists (from JSON) and numpy integers (from samplers) become the one canonical form.
        blocks = tuple(Block(*map(operator.index, block)) for block in self.blocks)
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "classes", operator.index(self.classes))
        object.__setattr__(self, "input_shape", tuple(map(operator.index, self.input_shape)))
        largest = max(_largest_weight(self))
        if largest > MAX_TENSOR:
            raise InputError(
                f"impossible architecture: one convolution has {largest} weights; "
                f"at most {MAX_TENSOR} fit in a tensor"
            )

    @property
    def identity(self) -> str:
        """12 hexadecimal digits; the same for equal networks, whatever wrote them down."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def parameters(self) -> int:
        """Trainable parameters: weights, biases, BatchNorm's gamma and beta."""
        return sum(stage.parameters for stage in stages(self))

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image: one for each use of a convolution's weight."""
        return sum(stage.macs for stage in stages(self))

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "blocks": [list(block) for block in self.blocks],
            "batch_norm": self.batch_norm,
            "relu_output": self.relu_output,
            "same_shape": self.same_shape,
            "classes": self.classes,
            "input_shape": list(self.input_shape),
        }


def from_json(value: object, source: str = "architecture") -> Architecture:
    """The architecture of a JSON value: an object as `to_json` writes it, or its `blocks` alone.

    Fields left out have the notebook's values. Raises InputError, naming `source`, on any fault.
    """
    if isinstance(value, list):
        value = {"blocks": value}
    if not isinstance(value, dict):
        raise InputError(f"{source}: an object with the key 'blocks' is expected")
    fields = unwrap_optional(value, FORMAT, VERSION, source)
    known = list(Architecture.__dataclass_fields__)
    unknown = [key for key in fields if key not in known]
    if unknown:
        raise InputError(f"{source}: unknown key {unknown[0]!r}; the keys are {', '.join(known)}")
    if "blocks" not in fields:
        raise InputError(f"{source}: the key 'blocks' is missing")
    try:
        return Architecture(**fields)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def read_architecture(file_or_json: str) -> Architecture:
    """The architecture of a file, of inline JSON, or of the name `notebook`."""
    if file_or_json == "notebook":
        return NOTEBOOK
    if file_or_json.lstrip().startswith(("{", "[")):
        return from_json(parse_json(file_or_json, "inline JSON"), "inline JSON")
    path = Path(file_or_json)
    if os.path.isdir(path):  # an exported bundle (Path.is_dir fails on a name too long for a file)
        path = path / "architecture.json"
    return from_json(read_json(path), str(path))


def stages(architecture: Architecture) -> list[Stage]:
    """The steps of the network in order, with output shapes, trainable parameters and MACs."""
    return list(_stages(architecture))


def _stages(architecture: Architecture) -> Iterator[Stage]:
    channels, height, width = architecture.input_shape
    for b, block in enumerate(architecture.blocks):
        for unit in range(block.num_convs):
            weights = [i * o * k * k for i, o, k in _convolutions(block, channels)]
            # A convolution has a bias, or BatchNorm's gamma and beta in its place.
            per_map = 2 if architecture.batch_norm else 1
            maps = sum(o for _, o, _ in _convolutions(block, channels))
            channels = block.out_channels
            yield Stage(
                f"block {b} unit {unit}",
                "Inception" + (" with batch norm" if architecture.batch_norm else ""),
                (channels, height, width),
                sum(weights) + per_map * maps,
                sum(weights) * height * width,
            )
        height, width = height // 2, width // 2
        yield Stage(f"block {b} pooling", "max 2x2", (channels, height, width), 0, 0)
    yield from _head(architecture, channels, height, width)


def _head(architecture: Architecture, channels: int, height: int, width: int) -> Iterator[Stage]:
    """The pre-activated residual unit (He et al., arXiv:1603.05027) and the pooling."""
    classes = architecture.classes
    if not architecture.same_shape:
        height, width = (height + 1) // 2, (width + 1) // 2
    shape = (classes, height, width)
    area = height * width

    def convolution(name: str, what: str, normalised: int, inputs: int, kernel: int) -> Stage:
        weights = inputs * classes * kernel * kernel
        return Stage(name, what, shape, 2 * normalised + weights + classes, weights * area)

    yield convolution("head conv1", "batch norm, ReLU, 3x3", channels, channels, 3)
    yield convolution("head conv2", "batch norm, ReLU, 3x3", classes, classes, 3)
    if not architecture.same_shape:
        yield convolution("head conv3", "1x1 on the shortcut", 0, channels, 1)
    yield Stage("output", "global average pooling", (classes,), 0, 0)


def _convolutions(block: Block, channels: int) -> list[tuple[int, int, int]]:
    """(inputs, outputs, kernel) of the six convolutions of one Inception unit."""
    return [
        (channels, block.n1_1, 1),
        (channels, block.n2_1, 1),
        (block.n2_1, block.n2_3, 3),
        (channels, block.n3_1, 1),
        (block.n3_1, block.n3_5, 5),
        (channels, block.n4_1, 1),
    ]


def _largest_weight(architecture: Architecture) -> Iterator[int]:
    channels = architecture.input_shape[0]
    for block in architecture.blocks:
        for inputs in {channels, block.out_channels} if block.num_convs > 1 else {channels}:
            yield max(i * o * k * k for i, o, k in _convolutions(block, inputs))
        channels = block.out_channels
    yield channels * architecture.classes * 9


def _is_integer(value: object) -> bool:
    if isinstance(value, bool):
        return False
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def _integer_fault(place: str, value: Any, low: int, high: int) -> Iterator[str]:
    if not _is_integer(value) or not low <= value <= high:
        yield f"{place} is {value!r}: an integer from {low} to {high} is expected"


def _faults(architecture: Architecture) -> Iterator[str]:
    """Every broken rule, each with its place and value."""
    for name in ("batch_norm", "relu_output", "same_shape"):
        value = getattr(architecture, name)
        if not isinstance(value, bool):
            yield f"{name} is {value!r}: true or false is expected"
    yield from _integer_fault("classes", architecture.classes, 1, MAX_WIDTH)

    shape = architecture.input_shape
    shape_faults = ["input_shape is not a list of three integers: channels, height, width"]
    if isinstance(shape, Sequence) and len(shape) == 3:
        shape_faults = [
            fault
            for place, value in zip(("channels", "height", "width"), shape)
            for fault in _integer_fault(f"input_shape's {place}", value, 1, MAX_WIDTH)
        ]
    yield from shape_faults

    blocks = architecture.blocks
    if not isinstance(blocks, Sequence) or isinstance(blocks, str) or not blocks:
        yield "blocks is not a list of at least one block"
        return
    block_faults = [fault for i, block in enumerate(blocks) for fault in _block_faults(i, block)]
    yield from block_faults
    if block_faults or shape_faults:
        return
    # Each block halves the maps (rounding down), and at least one pixel must be left.
    if min(shape[1:]) >> len(blocks) < 1:
        yield (
            f"{len(blocks)} blocks halve {shape[1]}x{shape[2]} images to nothing: "
            f"at most {min(shape[1:]).bit_length() - 1} are possible"
        )
    out_channels = Block(*blocks[-1]).out_channels
    if architecture.same_shape is True and out_channels != architecture.classes:
        yield (
            f"same_shape adds the last block's {out_channels} maps to {architecture.classes} class "
            "maps: n1_1 + n2_3 + n3_5 + n4_1 must equal the number of classes"
        )


def _block_faults(index: int, block: object) -> Iterator[str]:
    if (
        not isinstance(block, Sequence)
        or isinstance(block, str)
        or len(block) != len(Block._fields)
    ):
        fields = ", ".join(Block._fields)
        yield f"blocks[{index}] is {block!r}: seven integers are expected ({fields})"
        return
    for name, value in zip(Block._fields, block):
        high = MAX_CONVS if name == "num_convs" else MAX_WIDTH
        yield from _integer_fault(f"blocks[{index}].{name}", value, 1, high)


# The architecture that the project grew out of.
NOTEBOOK = Architecture((Block(2, 64, 96, 128, 16, 32, 32), Block(2, 128, 128, 192, 32, 96, 64)))
