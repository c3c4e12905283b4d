"""How pictures look: colors for light and dark pages, fonts and sizes, and their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._files import atomic_file, picture_format
from .._text import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Blue, vermilion and green are Okabe and Ito's, which color-blind readers can tell apart. Pictures
# are drawn in the light colors; in a page each of them becomes the CSS variable of its name.
LIGHT = {
    "ink": "#1c2128",
    "muted": "#59636e",
    "line": "#d1d7dd",
    "paper": "#fefefe",
    "candidate": "#0072b2",
    "baseline": "#c4500a",
    "best": "#00805d",
}
DARK = {
    "ink": "#e6eaef",
    "muted": "#a0a9b4",
    "line": "#39424c",
    "paper": "#12161b",
    "candidate": "#5cb3ea",
    "baseline": "#f58f4f",
    "best": "#3ec79b",
}
INK, MUTED, LINE, PAPER = (LIGHT[name] for name in ("ink", "muted", "line", "paper"))
CANDIDATE, BASELINE, BEST = (LIGHT[name] for name in ("candidate", "baseline", "best"))

WIDTH = 4.7  # inches; shown 350 pixels wide, text of 9 points is 9.3 pixels high
_SETTINGS: dict[Any, Any] = {
    # Names from files are text, never formulas.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
}


class NothingToDraw(Exception):
    """There is not what a picture shows; the message says what is missing."""


@dataclass(frozen=True)
class Picture:
    """A drawn figure; `description` says what it shows, for people who cannot see it.

    `tips` has, for the gid of an artist, the text for each of its points, or one text for all.
    """

    figure: Figure
    title: str
    description: str
    tips: dict[str, list[str]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes it, titled, to a .png, .svg or .pdf file. Raises InputError for other names."""
        kind = picture_format(path)
        with styled():
            # Above the figure; the file's edges are moved to hold it.
            self.figure.text(0.02, 1.02, plain(self.title), fontweight="bold", fontsize=10)
            metadata = {"svg": {"Title": self.title}, "pdf": {"Title": self.title}}.get(kind)
            with atomic_file(path) as temporary:
                self.figure.savefig(
                    temporary,
                    format=kind,
                    dpi=160,
                    metadata=metadata,
                    facecolor=PAPER,
                    bbox_inches="tight",
                )


@contextmanager
def styled() -> Iterator[None]:
    """Draws what the block draws in our style."""
    import matplotlib

    with matplotlib.rc_context(_SETTINGS):
        yield


def new_figure(height: float = 3.1) -> tuple[Figure, Axes]:
    """A figure of our width with one set of axes; `height` in inches."""
    figure, (axes,) = new_panels(height)
    return figure, axes


def new_panels(*heights: float) -> tuple[Figure, list[Axes]]:
    """A figure of our width with axes below one another, whose heights are in inches."""
    from matplotlib.figure import Figure

    size = WIDTH, sum(heights)
    figure = Figure(figsize=size, layout="constrained", facecolor="none")
    axes = figure.subplots(len(heights), height_ratios=heights, squeeze=False)
    return figure, list(axes[:, 0])


def named_rows(axes: Axes, names: Sequence[str], notes: Sequence[str] = ()) -> None:
    """Makes the vertical axis one of rows, the first on top, with names and notes below them."""
    labels = [plain(name, limit=30) for name in names]
    if notes:
        labels = [f"{label}\n{plain(note)}" for label, note in zip(labels, notes)]
    axes.set_yticks(range(len(names)), labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)


def legend(axes: Axes) -> None:
    """Puts the legend above the axes, where it hides no point."""
    handles, _ = axes.get_legend_handles_labels()
    columns = 2 if len(handles) > 3 else 3
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.01), ncols=columns, borderpad=0, borderaxespad=0
    )


def integer_axis(axis: Any) -> None:
    """Labels an axis of counts or numbers with integers only."""
    axis.get_major_locator().set_params(integer=True)


def percent_axis(axis: Any) -> None:
    """Labels an axis of accuracies, which are fractions, in percent."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(xmax=1))
