"""Architectures: their definition, validation and JSON. Needs no framework.

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
from .stages import counted_stages, stages

__all__ = [
    "MAX_CONVS",
    "MAX_TENSOR",
    "MAX_WIDTH",
    "NOTEBOOK",
    "Architecture",
    "Block",
    "from_json",
    "read_architecture",
    "stages",
]

FORMAT = "nas-incep-architecture"
VERSION = 1

MAX_CONVS = 64
MAX_WIDTH = 8192
# MXNet 1.9 counts the elements of a tensor with 32 bits.
MAX_TENSOR = 2**31 - 1


class Block(NamedTuple):
    """One vgg_block: `num_convs` equal Inception units, then 2x2 max pooling.

    A unit concatenates four branches along the channels. The fields are the numbers of output
    channels of their convolutions: 1x1 (`n1_1`); 1x1 (`n2_1`), then 3x3 (`n2_3`); 1x1 (`n3_1`),
    then 5x5 (`n3_5`); 3x3 max pooling, then 1x1 (`n4_1`).
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
        """The channels of the concatenated branches."""
        return self.n1_1 + self.n2_3 + self.n3_5 + self.n4_1


@dataclass(frozen=True)
class Architecture:
    """A stack of blocks, and the variant of the network built from them.

    The defaults are the notebook's: no batch normalization inside the blocks, ReLU on the class
    maps, a residual head that halves their height and width (`same_shape` keeps them).
    `input_shape` is (channels, height, width). Raises InputError listing every error.
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
        # Lists (from JSON) and numpy integers (from samplers) are converted to one canonical form.
        blocks = tuple(Block(*map(operator.index, block)) for block in self.blocks)
        object.__setattr__(self, "blocks", blocks)
        object.__setattr__(self, "classes", operator.index(self.classes))
        object.__setattr__(self, "input_shape", tuple(map(operator.index, self.input_shape)))
        largest = max(p.size for _, stage in counted_stages(self) for p in stage.tensors)
        if largest > MAX_TENSOR:
            raise InputError(
                f"impossible architecture: one convolution has {largest} weights; "
                f"at most {MAX_TENSOR} fit in a tensor"
            )

    @property
    def identity(self) -> str:
        """12 hexadecimal digits, the same for equal architectures."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def parameters(self) -> int:
        """The number of trainable parameters, element by element; running statistics excluded."""
        return sum(count * stage.parameters for count, stage in counted_stages(self))

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image: one for each use of a convolution's weight."""
        return sum(count * stage.macs for count, stage in counted_stages(self))

    def to_json(self) -> dict[str, Any]:
        """A JSON value that `from_json` reads."""
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
    """Read an architecture from a JSON value: an object as `to_json` writes it, or its `blocks`.

    Missing fields take the notebook's values. Raises InputError, whose message begins with
    `source`, if the value is not a valid architecture.
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
    """Read an architecture from a file, a bundle's folder, inline JSON, or the name `notebook`.

    Raises InputError if the file cannot be read or has no valid architecture.
    """
    if file_or_json == "notebook":
        return NOTEBOOK
    if file_or_json.lstrip().startswith(("{", "[")):
        return from_json(parse_json(file_or_json, "inline JSON"), "inline JSON")
    path = Path(file_or_json)
    if os.path.isdir(path):  # an exported bundle (Path.is_dir fails on a name too long for a file)
        path = path / "architecture.json"
    return from_json(read_json(path), str(path))


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
    """Every broken rule, with the field and its value."""
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
    # Each block halves the maps, rounding down, and at least one pixel must remain.
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
