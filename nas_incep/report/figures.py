"""The pictures of a run, by kind; each is drawn from its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._text import counted, plain
from ..records import COMPLETE, STATES
from ..results.leaderboard import short_number
from .contents import Contents, accuracy_of, has_accuracy, is_mean_shown
from .drawing import draw_architecture
from .fidelity import draw_fidelity
from .finals import draw_finals, draw_ranks
from .style import (
    BASELINE,
    BEST,
    CANDIDATE,
    INK,
    MUTED,
    PAPER,
    NothingToDraw,
    Picture,
    integer_axis,
    legend,
    named_rows,
    new_figure,
    percent_axis,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..records import TrialRecord

MAX_CURVES = 100  # candidates whose curves are drawn, the best ones
MAX_BARS = 15


def draw(kind: str, contents: Contents) -> Picture:
    """The picture of that kind, one of KINDS. Raises NothingToDraw."""
    with styled():
        return KINDS[kind](contents)


def _progress(contents: Contents) -> Picture:
    """Accuracy by trial, the best so far as a line, and the baselines."""
    candidates = sorted(
        (row for row in contents.rows if has_accuracy(row) and row["trial"] is not None),
        key=lambda row: row["trial"],
    )
    if not candidates:
        raise NothingToDraw("no candidate was trained")
    figure, axes = new_figure()
    axes.grid(axis="y")
    tips = {}
    for complete, label in ((True, "candidate"), (False, "not trained to the end")):
        rows = [row for row in candidates if (row["state"] == COMPLETE) == complete]
        tips.update(_scatter(axes, rows, "trial", CANDIDATE if complete else None, label))
    best = _best_so_far(candidates)
    if best:
        numbers, accuracies = zip(*best, (candidates[-1]["trial"], best[-1][1]))
        axes.plot(numbers, accuracies, color=BEST, drawstyle="steps-post", label="best so far")
    baselines = [
        row for row in contents.complete_rows if has_accuracy(row) and row["trial"] is None
    ]
    for number, row in enumerate(baselines):
        line = axes.axhline(accuracy_of(row), color=BASELINE, linestyle="dashed")
        line.set_label("baseline" if number == 0 else "")
        line.set_gid(f"baseline{number}")
        tips[f"baseline{number}"] = [_tip(row)]
    integer_axis(axes.xaxis)
    _label(axes, "trial")
    words = f"Validation accuracy of {counted(len(candidates), 'candidate')} by trial."
    if best:
        words += f" The best accuracy is {best[-1][1]:.2%}, first of trial {best[-1][0]}."
    return Picture(figure, "Best so far", words, tips)


def _best_so_far(candidates: list[dict[str, Any]]) -> list[tuple[int, float]]:
    """The (trial, accuracy) of each complete candidate that is better than all before it.

    By the accuracies of the search, which are all of one seed.
    """
    best: list[tuple[int, float]] = []
    for row in candidates:
        accuracy = row["val_accuracy"]
        if row["state"] == COMPLETE and (not best or accuracy > best[-1][1]):
            best.append((row["trial"], accuracy))
    return best


def _macs(contents: Contents) -> Picture:
    return _costs(contents, "macs", "MACs", "multiply-accumulates for one image")


def _parameters(contents: Contents) -> Picture:
    return _costs(contents, "parameters", "parameters", "trainable parameters")


def _costs(contents: Contents, key: str, short: str, label: str) -> Picture:
    """Accuracy against a cost, with the front that no network is beyond."""
    rows = [row for row in contents.complete_rows if has_accuracy(row) and row[key]]
    if not rows:
        raise NothingToDraw("no network was trained to the end")
    figure, axes = new_figure()
    axes.grid()
    tips = {}
    for baseline, color in ((False, CANDIDATE), (True, BASELINE)):
        kind = [row for row in rows if (row["trial"] is None) == baseline]
        name = "baseline" if baseline else "candidate"
        tips.update(_scatter(axes, kind, key, color, name, marker="s" if baseline else "o"))
    front = _front(rows, key)
    costs, accuracies = [row[key] for row in front], [accuracy_of(row) for row in front]
    axes.plot(costs, accuracies, color=BEST, drawstyle="steps-post", label="Pareto front", zorder=1)
    _cost_axis(axes, [row[key] for row in rows])
    _label(axes, label)
    words = (
        f"Validation accuracy against {short} of {counted(len(rows), 'network')}; the Pareto "
        f"front has {len(front)}, from {short_number(costs[0])} {short} and {accuracies[0]:.2%} "
        f"to {short_number(costs[-1])} and {accuracies[-1]:.2%}."
    )
    return Picture(figure, f"Accuracy against {short}", words, tips)


def _front(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """The rows more accurate than all that cost no more, by cost."""
    front: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: (row[key], -accuracy_of(row))):
        if not front or accuracy_of(row) > accuracy_of(front[-1]):
            front.append(row)
    return front


def _cost_axis(axes: Axes, costs: list[int]) -> None:
    """Numbers with units, on a logarithmic scale unless the costs are close together."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if max(costs) > 4 * min(costs):
        axes.set_xscale("log")
        close = max(costs) < 100 * min(costs)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if close else (1,)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))


def _curves(contents: Contents) -> Picture:
    """Validation accuracy after each epoch, the best candidate last so that it is on top."""
    trained = [record for record in contents.ranked if record.outcome.curve]
    candidates = [record for record in trained if not record.subject.is_baseline]
    baselines = [record for record in trained if record.subject.is_baseline]
    if not trained:
        raise NothingToDraw("no network was trained for an epoch")
    figure, axes = new_figure()
    axes.grid(axis="y")
    tips = {}
    shown = [*baselines, *reversed(candidates[:MAX_CURVES])]
    named: set[str] = set()
    for number, record in enumerate(shown):
        name, look = _curve_look(record, contents.best)
        points = record.outcome.curve
        (line,) = axes.plot(
            [point.epoch for point in points],
            [point.val_accuracy for point in points],
            label=None if name in named else name,
            marker="." if len(points) < contents.config.request.recipe.epochs else None,
            markevery=[-1],
            **look,
        )
        named.add(name)
        line.set_gid(f"curve{number}")
        tips[f"curve{number}"] = [f"{record.subject.label}: {record.outcome.state}"]
    integer_axis(axes.xaxis)
    _label(axes, "epoch")
    left_out = max(0, len(candidates) - MAX_CURVES)
    words = f"Validation accuracy after each epoch of {counted(len(shown), 'network')}"
    words += f"; {left_out} more candidates, of lower rank, are left out." if left_out else "."
    return Picture(figure, "Learning curves", words, tips)


def _curve_look(record: TrialRecord, best: TrialRecord | None) -> tuple[str, dict[str, Any]]:
    if record is best:
        return "best candidate", {"color": BEST, "linewidth": 2.2, "zorder": 4}
    if record.subject.is_baseline:
        return "baseline", {"color": BASELINE, "linestyle": "dashed", "zorder": 3}
    return "candidate", {"color": CANDIDATE, "linewidth": 0.9, "alpha": 0.55}


def _importances(contents: Contents) -> Picture:
    """How much each parameter of the space matters for being among the best."""
    from ..study.importances import ENOUGH, importances

    found = importances(contents.config, contents.records)
    if not found:
        raise NothingToDraw(
            f"importances need {ENOUGH} complete candidates with parameters that can be chosen"
        )
    shown = list(found.items())[:MAX_BARS]
    names = [name.replace(".index", "") for name, _ in shown]
    shares = [share for _, share in shown]
    labels = [f"{share:.0%}" if share >= 0.005 else "<1%" for share in shares]
    picture = _bars("Parameter importances", names, shares, labels)
    (axes,) = picture.figure.axes
    axes.set_xlabel("share of the importance for accuracy")
    axes.set_ylabel("parameter of the space")
    percent_axis(axes.xaxis)
    return picture


def _outcomes(contents: Contents) -> Picture:
    """How many candidates ended in each state."""
    counts = Counter(r.outcome.state for r in contents.records if not r.subject.is_baseline)
    if not counts:
        raise NothingToDraw("no candidate has ended yet")
    states = [state for state in STATES if counts[state]]
    numbers = [counts[state] for state in states]
    picture = _bars("Outcomes", states, numbers, [f"{number:,}" for number in numbers])
    picture.figure.axes[0].set_xlabel("candidates")
    integer_axis(picture.figure.axes[0].xaxis)
    return picture


def _bars(title: str, names: list[str], values: list[Any], labels: list[str]) -> Picture:
    """Horizontal bars, the first on top."""
    figure, axes = new_figure(0.8 + 0.26 * len(names))
    bars = axes.barh(range(len(names)), values, height=0.62, color=CANDIDATE)
    axes.bar_label(bars, labels, padding=3, fontsize=8.5, color=INK)
    named_rows(axes, names)
    axes.margins(x=0.12)
    words = ", ".join(f"{name} {label}" for name, label in zip(names[:5], labels))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return Picture(figure, title, f"{title}: {words}{more}.")


def _architecture(contents: Contents) -> Picture:
    """The best candidate's network."""
    best = contents.best
    if best is None or best.subject.architecture is None:
        raise NothingToDraw("no candidate was trained to the end")
    return draw_architecture(best.subject.architecture, f"Network of {best.subject.label}")


def _label(axes: Axes, x: str) -> None:
    """Labels axes on which accuracy is upward, and explains their colors."""
    axes.set_xlabel(x)
    axes.set_ylabel("validation accuracy")
    percent_axis(axes.yaxis)
    legend(axes)


def _scatter(
    axes: Axes, rows: list[dict[str, Any]], x: str, color: str | None, label: str, marker: str = "o"
) -> dict[str, list[str]]:
    """Draws the accuracies of rows with their errors, hollow without a color; the tips."""
    if not rows:
        return {}
    xs, ys = [row[x] for row in rows], [accuracy_of(row) for row in rows]
    errors = [(is_mean_shown(row) and row["standard_error"]) or 0 for row in rows]
    if any(errors):
        axes.errorbar(xs, ys, yerr=errors, fmt="none", ecolor=color or MUTED, zorder=2)
    points = axes.scatter(xs, ys, s=22, marker=marker, label=label, zorder=3, linewidths=1)
    # A paper-colored edge separates points that touch.
    points.set_facecolor(color or PAPER)
    points.set_edgecolor(PAPER if color else MUTED)
    points.set_gid(label.replace(" ", "-"))
    return {label.replace(" ", "-"): [_tip(row) for row in rows]}


def _tip(row: dict[str, Any]) -> str:
    name = row["name"] if row["trial"] is None else f"trial {row['trial']} ({row['name']})"
    text = (
        f"{name}: {accuracy_of(row):.2%}, {short_number(row['parameters'])} parameters, "
        f"{short_number(row['macs'])} MACs, {row['state']}"
    )
    return plain(text)


KINDS: dict[str, Callable[[Contents], Picture]] = {
    "progress": _progress,
    "macs": _macs,
    "parameters": _parameters,
    "curves": _curves,
    "finals": draw_finals,
    "ranks": draw_ranks,
    "fidelity": draw_fidelity,
    "importances": _importances,
    "outcomes": _outcomes,
    "architecture": _architecture,
}
