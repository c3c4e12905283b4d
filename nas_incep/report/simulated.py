"""The picture of simulated searches: what they regret against what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .._text import plain
from ..records import FINALS
from ..results.leaderboard import short_number
from .style import (
    BASELINE,
    BEST,
    CANDIDATE,
    INK,
    MUTED,
    PAPER,
    NothingToDraw,
    Picture,
    legend,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..search.simulation import Summary

# Samplers in order differ in their marks, too.
_LOOKS = tuple(zip((CANDIDATE, BASELINE, BEST, INK, MUTED), "osD^v"))


def draw_simulations(
    found: Mapping[str, Sequence[Summary]], unit: str, title: str, best: float
) -> Picture:
    """The mean regret of each sampler's searches, with 95 % intervals, as they go on.

    `unit` is what costs are counted in, `best` the true accuracy of the table's best network. The
    finals are a hollow mark at the end of a dashed line: what they add is no further candidate.
    Raises NothingToDraw if no search had a complete network.
    """
    found = {sampler: summaries for sampler, summaries in found.items() if summaries}
    if not found:
        raise NothingToDraw("no search had a complete network")
    with styled():
        figure, axes = new_figure()
        axes.grid(axis="y")
        for (color, marker), (sampler, summaries) in zip(_LOOKS, found.items()):
            _line(axes, summaries, sampler, color, marker)
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        _cost_labels(axes)
        axes.set_xlabel(_COSTS[unit])
        axes.set_ylabel("regret, points")
        legend(axes)
    ends = [
        f"{sampler} {100 * last.regret:.2f} points after {last.cost:,.0f} {unit}"
        for sampler, (*_, last) in found.items()
    ]
    words = f"How far the best network so far is from the best of all, {best:.2%}: "
    return Picture(figure, title, plain(words + ", ".join(ends) + ".", limit=1000))


_COSTS = {
    "images": "images trained on by all candidates",
    "trainings": "trainings of candidates",
}


def _line(axes: Axes, summaries: Sequence[Summary], sampler: str, color: str, marker: str) -> None:
    """Draws one sampler's regret, with intervals."""
    searched = [each for each in summaries if each.after != FINALS]
    points = [(each.cost, 100 * each.regret, 100 * (each.margin or 0)) for each in summaries]
    axes.errorbar(
        [x for x, _, _ in points[: len(searched)]],
        [y for _, y, _ in points[: len(searched)]],
        yerr=[margin for _, _, margin in points[: len(searched)]],
        color=color, marker=marker, ms=4.5, capsize=2.5, label=sampler,
    )  # fmt: skip
    if len(points) > len(searched) > 0:
        (x, y, margin), (before, height, _) = points[-1], points[-2]
        axes.plot([before, x], [height, y], color=color, linestyle="dashed", zorder=1)
        axes.errorbar(
            x, y, yerr=margin, color=color, marker=marker, ms=5, mfc=PAPER, capsize=2.5, zorder=3
        )


def _cost_labels(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
