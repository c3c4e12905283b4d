"""The finals: the seeds of each network that was in them, and the ranks that are possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._text import counted, plain
from ..records import COMPLETE, CONFIRMATION, FINALS, SEARCH, TrialRecord
from ..results.standings import Network, Seeds, network_of
from .contents import Contents
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
)
from .table import mean_text, rank_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_ROWS = 30  # networks whose possible ranks are drawn, the best ones


@dataclass(frozen=True)
class Finalist:
    """A network that was trained with several seeds, as the report shows it.

    `row` is the leaderboard's, `seeds` has the accuracies of each stage, and `end` says what became
    of it in the finals.
    """

    row: dict[str, Any]
    name: str
    seeds: Seeds
    end: str

    @property
    def is_baseline(self) -> bool:
        return not self.seeds.is_candidate

    @property
    def has_mean(self) -> bool:
        """Whether one of its seeds may report it."""
        return self.is_baseline or bool(self.seeds[FINALS])

    @property
    def cells(self) -> list[tuple[str, str]]:
        """The figures of its row in the table of the finals, with their titles; empty: none."""
        stages = (("Search", SEARCH), ("Finals", FINALS), ("Confirmation", CONFIRMATION))
        seeds = [(title, ", ".join(map("{:.2%}".format, self.seeds[of]))) for title, of in stages]
        known = self.has_mean and self.row["rank_low"]
        return [
            *seeds,
            ("Mean", mean_text(self.row) if self.has_mean else ""),
            ("Possible ranks", rank_interval(self.row) if known else ""),
        ]


def finalists(contents: Contents) -> list[Finalist]:
    """Who was in the finals, in the order of the ranking, then the baselines beside them.

    Empty if no training of the finals has ended yet.
    """
    reruns = [record for record in contents.ranking.reruns if record.subject.stage == FINALS]
    if not reruns:
        return []
    there = {network_of(r.subject) for r in (*contents.ranking.race.contenders, *reruns)}
    seeds = contents.ranking.seeds
    epochs = reruns[0].recipe.epochs
    found: list[Finalist] = []
    for record, row in zip(contents.ranked, contents.rows):
        network, is_baseline = network_of(record.subject), record.subject.is_baseline
        # Of a baseline that was not trained as long, nothing can be said beside the finals.
        beside = is_baseline and network in seeds and seeds[network].epochs == epochs
        if beside or (network in there and network in seeds):
            end = _end(contents, network, reruns)
            found.append(Finalist(row, _name(record), seeds[network], end))
    return sorted(found, key=lambda each: each.is_baseline)  # a stable sort


def _name(record: TrialRecord) -> str:
    return record.subject.name if record.subject.is_baseline else record.subject.label


def _end(contents: Contents, network: Network, reruns: Sequence[TrialRecord]) -> str:
    """What became of a network in the finals, as a phrase."""
    race = contents.ranking.race
    own = [record for record in reruns if network_of(record.subject) == network]
    if network[0] is None:
        return "baseline"
    if network not in [network_of(record.subject) for record in race.contenders]:
        return "was in earlier finals"
    if race.winner and network_of(race.winner.subject) == network:
        return "won"
    failed = next((record for record in own if record.outcome.state != COMPLETE), None)
    if failed:
        return f"{failed.outcome.state} in round {failed.subject.repeat}"
    if network in race.dropped:
        return f"out after round {race.dropped[network]}"
    return "in until the end" if race.winner else "in the race"


def finals_words(contents: Contents) -> list[str]:
    """The finals in sentences; none if no training of them has ended."""
    race, reruns = contents.ranking.race, contents.ranking.reruns
    there = {network_of(record.subject) for record in race.contenders}
    of_finals = [record for record in reruns if record.subject.stage == FINALS]
    rounds = [record for record in of_finals if network_of(record.subject) in there]
    if not rounds:
        return ["These trainings are of earlier finals."] if of_finals else []
    last = max(record.subject.repeat for record in rounds)
    text = (
        f"The {len(race.contenders)} best candidates of the search were trained again with fresh "
        f"seeds: {len(rounds)} training{'s' * (len(rounds) > 1)} in {last} "
        f"round{'s' * (last > 1)}. Who was clearly behind dropped out. The accuracy of the search, "
        "which chose them, flatters them and does not count any more."
    )
    if race.winner is None:
        return [text, "The finals are not over." if race.wanted else "Nobody has won."]
    winner = network_of(race.winner.subject)
    own = [r for r in reruns if (r.subject.stage, network_of(r.subject)) == (CONFIRMATION, winner)]
    times = "once" if len(own) == 1 else f"{len(own)} times"
    confirmed = f", trained {times} more after all choices, to report it" if own else ""
    return [text, f"The winner is {_name(race.winner)}{confirmed}."]


def draw_finals(contents: Contents) -> Picture:
    """The accuracy of each seed of those in the finals, with means and their errors."""
    found = finalists(contents)
    if not found:
        raise NothingToDraw("no training of the finals has ended")
    figure, axes = new_figure(0.9 + 0.42 * len(found))
    axes.grid(axis="x")
    tips = {}
    for stage, label, color, marker in (
        (SEARCH, "search, does not count", None, "o"),
        (FINALS, "finals", CANDIDATE, "o"),
        (CONFIRMATION, "confirmation", BEST, "D"),
        (SEARCH, "baseline", BASELINE, "s"),
    ):
        tips.update(_seeds(axes, found, (stage, label, color, marker)))
    _means(axes, found)
    named_rows(axes, [each.name for each in found], [each.end for each in found])
    axes.set_xlabel("validation accuracy")
    percent_axis(axes.xaxis)
    legend(axes)
    words = ", ".join(f"{each.name} {each.end}" for each in found if not each.is_baseline)
    return Picture(figure, "Finals", f"Accuracy of each seed of the finals: {words}.", tips)


def _means(axes: Axes, found: Sequence[Finalist]) -> None:
    """Draws the mean of the seeds that count, with its error, of those that have one."""
    known = [(place, each.row) for place, each in enumerate(found) if each.has_mean]
    axes.errorbar(
        [row["mean_accuracy"] for _, row in known],
        [place + 0.26 for place, _ in known],
        xerr=[row["standard_error"] or 0 for _, row in known],
        fmt="|", color=INK, capsize=2.5, linewidth=1, label="mean ± error",
    )  # fmt: skip


def _seeds(
    axes: Axes, found: Sequence[Finalist], look: tuple[str, str, str | None, str]
) -> dict[str, list[str]]:
    """Draws the seeds of one stage; the tips. A baseline was not chosen: all of its seeds count."""
    stage, label, color, marker = look
    points = [
        # A bit higher each, so that equal ones are seen.
        (accuracy, place - 0.1 * (number - 1), f"{each.name}, {of} {number}: {accuracy:.2%}")
        for place, each in enumerate(found)
        if each.is_baseline == (label == "baseline")
        for of in ((SEARCH, CONFIRMATION) if each.is_baseline else (stage,))
        for number, accuracy in enumerate(each.seeds[of], 1)
    ]
    if not points:
        return {}
    xs, ys, texts = zip(*points)
    marks = axes.scatter(xs, ys, s=24, marker=marker, label=label, zorder=3, linewidths=1)
    marks.set_facecolor(color or PAPER)
    marks.set_edgecolor(PAPER if color else MUTED)
    name = label.partition(",")[0]
    marks.set_gid(name)
    return {name: [plain(text) for text in texts]}


def draw_ranks(contents: Contents) -> Picture:
    """The possible ranks of each network as a bar, in the order of the ranking."""
    known = [row for row in contents.rows if row["rank_low"] is not None]
    if not known:
        raise NothingToDraw("possible ranks need networks that were trained with several seeds")
    shown, tips = known[:MAX_ROWS], {}
    figure, axes = new_figure(0.9 + 0.24 * len(shown))
    axes.grid(axis="x")
    named: set[str] = set()
    for place, row in enumerate(shown):
        kind, color = _rank_look(row)
        low, high = row["rank_low"], row["rank_high"]
        (bar,) = axes.barh(
            place, high - low + 0.7, left=low - 0.35, height=0.5, color=color,
            label=None if kind in named else kind,
        )  # fmt: skip
        named.add(kind)
        bar.set_gid(f"rank{place}")
        tips[f"rank{place}"] = [plain(f"{_row_name(row)}: {rank_interval(row)}")]
    named_rows(axes, [_row_name(row) for row in shown])
    axes.set_xlim(0.4, max(row["rank_high"] for row in shown) + 0.6)
    integer_axis(axes.xaxis)
    axes.set_xlabel("possible ranks")
    legend(axes)
    left_out = f"; {len(known) - MAX_ROWS} more are left out" if len(known) > MAX_ROWS else ""
    tied = sum(bool(row["tied_with_best"]) for row in known)
    words = (
        f"Possible ranks of {counted(len(shown), 'network')}{left_out}; all are right at once "
        f"with 95 %. {tied} may be the best."
    )
    return Picture(figure, "Possible ranks", words, tips)


def _row_name(row: dict[str, Any]) -> str:
    return row["name"] if row["trial"] is None else f"trial {row['trial']}"


def _rank_look(row: dict[str, Any]) -> tuple[str, str]:
    if row["trial"] is None:
        return "baseline", BASELINE
    return ("may be best", BEST) if row["tied_with_best"] else ("other", CANDIDATE)
