"""The drawing of an architecture: its blocks, their branches with widths, the shapes between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..stages import Stage, head_stages, unit_stages
from .style import CANDIDATE, INK, LINE, MUTED, PAPER, WIDTH, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..architecture import Architecture

# All sizes are in points; y grows downwards.
_WIDE = WIDTH * 72
_MARGIN = 6
_GAP = 14  # between two parts, for the arrow
_ROW = 27  # height of a convolution's box
_HEADER = 20  # of a block's frame
_BRANCHES = 4


def draw_architecture(architecture: Architecture, title: str) -> Picture:
    """Draws a network from its input to its classes.

    Each block shows one of its equal Inception units: the branches side by side, each convolution
    with its kernel and output channels; below, the shape of the concatenated maps (channels,
    height, width), then the pooling.
    """
    from matplotlib.figure import Figure

    blocks = unit_stages(architecture)
    block_height = _HEADER + 2 * _ROW + 34
    part = block_height + 18 + 2 * _GAP  # a block and its pooling, or the head and its
    height = 18 + (len(blocks) + 1) * part + 4
    figure = Figure(figsize=(WIDTH, height / 72), facecolor="none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, _WIDE)
    axes.set_ylim(height, 0)

    y = _strip(axes, 2, f"input {_shape(architecture.input_shape)}", first=True)
    words = []
    for b, units in enumerate(blocks):
        count = f"{len(units)} Inception unit{'s' if len(units) > 1 else ''}"
        y = _block(axes, y, f"block {b}: {count}", units[-1], block_height)
        channels, high, wide = units[-1].out_shape
        y = _strip(axes, y, f"max pooling 2x2: {_shape((channels, high // 2, wide // 2))}")
        words.append(f"block {b} has {count} with {channels} channels")
    y = _head(axes, y, head_stages(architecture), block_height)
    y = _strip(axes, y, f"global average pooling: {architecture.classes} classes")
    variant = "with" if architecture.batch_norm else "without"
    described = f"{title}: {'; '.join(words)}; {variant} batch normalization."
    return Picture(figure, title, described)


def _block(axes: Axes, y: float, name: str, unit: Stage, height: float) -> float:
    """Draws a block by one of its units; the y below it."""
    norm = ", batch norm" if any(c.norm for c in unit.convolutions) else ""
    y = _frame(axes, y, f"{name}{norm}", height)
    column = (_WIDE - 4 * _MARGIN) / _BRANCHES
    top = y + _HEADER
    for number, branch in enumerate(unit.branches):
        x = 2 * _MARGIN + number * column
        boxes = [_convolution(c.kernel, c.outputs) for c in branch]
        if number == _BRANCHES - 1:  # its pooling has no parameters
            boxes.insert(0, "max pool\n3x3")
        _column(axes, x, top, column, boxes)
    _text(axes, y + height - 12, f"concatenated: {_shape(unit.out_shape)}", color=INK)
    return y + height


def _head(axes: Axes, y: float, stages: list[Stage], height: float) -> float:
    """Draws the residual head: two convolutions in a row, and the shortcut beside them."""
    y = _frame(axes, y, "residual head", height)
    column = (_WIDE - 4 * _MARGIN) / 2
    main = [stage.convolutions[0] for stage in stages[:2]]
    boxes = [f"batch norm, ReLU, {c.kernel}x{c.kernel}\n{c.outputs}" for c in main]
    _column(axes, 2 * _MARGIN, y + _HEADER, column, boxes)
    side = "shortcut\n(identity)"
    if len(stages) > 2:
        convolution = stages[2].convolutions[0]
        side = f"shortcut {_convolution(convolution.kernel, convolution.outputs)}"
    _column(axes, 2 * _MARGIN + column, y + _HEADER, column, [side])
    _text(axes, y + height - 12, f"added: {_shape(stages[-1].out_shape)}", color=INK)
    return y + height


def _convolution(kernel: int, outputs: int) -> str:
    return f"{kernel}x{kernel}\n{outputs}"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _column(axes: Axes, x: float, top: float, width: float, boxes: list[str]) -> None:
    """Draws the boxes of one branch below one another, joined by a line."""
    middle, bottom = x + width / 2, top + 2 * _ROW + 10
    axes.plot([middle, middle], [top - 3, bottom + 3], color=MUTED, linewidth=0.8, zorder=1)
    for number, text in enumerate(boxes):
        # A single convolution is drawn in the middle.
        shift = (_ROW + 10) / 2 if len(boxes) == 1 else number * (_ROW + 10)
        _box(axes, (x + 3, top + shift), (width - 6, _ROW), "paper")
        axes.text(
            middle, top + shift + _ROW / 2, text, ha="center", va="center",
            fontsize=8, linespacing=1.15, zorder=5,
        )  # fmt: skip


def _frame(axes: Axes, y: float, name: str, height: float) -> float:
    """Draws the arrow to a block and the block's frame with its name; the y of its top."""
    y = _arrow(axes, y)
    _box(axes, (_MARGIN, y), (_WIDE - 2 * _MARGIN, height), "frame")
    axes.text(2 * _MARGIN, y + 10, name, va="center", fontsize=9, fontweight="bold", zorder=5)
    return y


def _strip(axes: Axes, y: float, text: str, first: bool = False) -> float:
    """Draws a step without parameters as one line in a box; the y below it."""
    if not first:
        y = _arrow(axes, y)
    _box(axes, (_WIDE / 4 - 20, y), (_WIDE / 2 + 40, 18), "strip")
    _text(axes, y + 9, text)
    return y + 18


def _text(axes: Axes, y: float, text: str, color: str = INK) -> None:
    axes.text(_WIDE / 2, y, text, ha="center", va="center", fontsize=8.5, color=color, zorder=5)


def _arrow(axes: Axes, y: float) -> float:
    """Draws the arrow from one part to the next; the y of the next."""
    axes.annotate(
        "", (_WIDE / 2, y + _GAP), (_WIDE / 2, y),
        arrowprops={"arrowstyle": "-|>", "color": MUTED, "lw": 0.8, "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip
    return y + _GAP


def _box(axes: Axes, corner: tuple[float, float], size: tuple[float, float], kind: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    look: dict[str, Any] = {
        "paper": {"facecolor": PAPER, "edgecolor": CANDIDATE, "zorder": 3},
        "frame": {"facecolor": "none", "edgecolor": MUTED, "zorder": 2},
        "strip": {"facecolor": LINE, "edgecolor": LINE, "zorder": 2},
    }[kind]
    style = "round,pad=0,rounding_size=4"
    axes.add_patch(FancyBboxPatch(corner, *size, boxstyle=style, linewidth=0.9, **look))
