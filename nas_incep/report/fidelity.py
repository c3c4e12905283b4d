"""The check of a ranking: brief accuracies against those of long trainings, and how they agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._text import counted, plain
from ..errors import InputError
from ..records import COMPLETE
from ..results.agreement import Estimate
from ..results.fidelity import BRIEF, Certificate, Fidelity, members
from ..results.standings import network_of, pooled_noise
from .contents import Contents
from .style import (
    BEST,
    CANDIDATE,
    INK,
    MUTED,
    NothingToDraw,
    Picture,
    legend,
    named_rows,
    new_panels,
    percent_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Long:
    """A network with its brief accuracy and those of its long trainings."""

    name: str
    is_top: bool  # of the best of the ranking, not drawn at random
    brief: float
    accuracies: tuple[float, ...]


def checked(contents: Contents) -> tuple[Fidelity, Certificate]:
    """The check of the ranking and what it says. Raises NothingToDraw if there is none."""
    if not contents.long:
        raise NothingToDraw("no network was trained longer: `nas-incep fidelity` does that")
    try:
        certificate = contents.certificate
    except InputError as error:
        raise NothingToDraw(str(error)) from None
    if contents.check is None or certificate is None:
        raise NothingToDraw(
            "the long trainings are not all done, or the ranking has other networks by now: "
            "`nas-incep fidelity` goes on"
        )
    return contents.check, certificate


def figures(certificate: Certificate) -> list[tuple[str, Estimate]]:
    """The agreements with the long trainings, named as `nas-incep fidelity` names them."""
    return [
        *certificate.taus.items(),
        ("brief, with one long seed", certificate.single),
        ("ceiling: two long seeds", certificate.ceiling),
    ]


def check_words(certificate: Certificate) -> list[str]:
    """What the check says, in sentences."""
    found, tau = certificate, certificate.taus[BRIEF]
    return [
        f"{found.verdict}",
        f"{found.networks} networks, standing for {found.candidates} candidates, were trained "
        f"{counted(found.seeds, 'time')} for {counted(found.epochs, 'epoch')}. "
        f"Kendall's tau of the brief ranking with these trainings is {tau.value:.2f}, its 95 % "
        f"interval {tau.low:.2f} to {tau.high:.2f}; "
        f"the gain over ranking by MACs is {found.gain.value:.2f}, {found.gain.low:.2f} to "
        f"{found.gain.high:.2f}.",
        *found.sentences,
    ]


def draw_fidelity(contents: Contents) -> Picture:
    """Brief against long accuracies, and below tau with its interval beside ceiling and floors."""
    check, certificate = checked(contents)
    rows = figures(certificate)
    figure, (above, below) = new_panels(2.9, 0.75 + 0.27 * len(rows))
    tips = _accuracies(above, _long(contents, check), certificate)
    for place, (name, tau) in enumerate(rows):
        color = {0: BEST, len(rows) - 1: INK}.get(place, CANDIDATE if "brief" in name else MUTED)
        spread = [[tau.value - tau.low], [tau.high - tau.value]]
        below.errorbar(tau.value, place, xerr=spread, fmt="o", color=color, capsize=2.5, ms=4.5)
    named_rows(below, [name for name, _ in rows])
    below.grid(axis="x")
    below.axvline(0, color=MUTED, linewidth=0.8)
    below.set_xlim(min(-0.1, *(tau.low for _, tau in rows)) - 0.05, 1.05)
    below.locator_params(axis="x", nbins=6)
    below.set_xlabel("Kendall's tau, 95 % intervals")
    words = f"Accuracies after brief and long trainings, and how they agree. {certificate.verdict}"
    return Picture(figure, "Fidelity of the ranking", words, tips)


def _long(contents: Contents, check: Fidelity) -> list[Long]:
    """The networks of the check that have completed a long training."""
    done: dict[Any, list[float]] = {}
    for record in contents.long:
        if record.outcome.state == COMPLETE and record.subject.repeat <= check.seeds:
            done.setdefault(network_of(record.subject), []).append(record.val_accuracy or 0.0)
    chosen = members(check, contents.config.request.seed, contents.searched, contents.winner)
    return [
        Long(m.record.subject.label, m.group == 0, m.record.val_accuracy or 0.0, tuple(own))
        for m in chosen
        if len(own := done.get(network_of(m.record.subject), [])) == check.seeds
    ]


def _accuracies(axes: Axes, found: list[Long], certificate: Certificate) -> dict[str, list[str]]:
    """Draws the long accuracies against the brief ones, with errors between seeds; the tips."""
    noise = pooled_noise(each.accuracies for each in found)
    error = noise.deviation / math.sqrt(certificate.seeds) if noise else 0.0
    tips = {}
    for is_top, label, color in (
        (True, "best of the ranking", BEST),
        (False, "drawn at random", CANDIDATE),
    ):
        own = [each for each in found if each.is_top == is_top]
        if not own:
            continue
        xs, ys = [each.brief for each in own], [float(np.mean(each.accuracies)) for each in own]
        axes.errorbar(xs, ys, yerr=error, fmt="none", ecolor=color, linewidth=1, capsize=2)
        points = axes.scatter(xs, ys, s=24, color=color, label=label, zorder=3)
        name = label.split()[0]
        points.set_gid(name)
        tips[name] = [
            plain(f"{each.name}: {each.brief:.2%} briefly, {y:.2%} ± {error:.2%} after longer ones")
            for each, y in zip(own, ys)
        ]
    axes.grid()
    axes.set_xlabel("validation accuracy in the search")
    axes.set_ylabel(
        f"mean of {counted(certificate.seeds, 'seed')} of {counted(certificate.epochs, 'epoch')}"
    )
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend(axes)
    return tips
