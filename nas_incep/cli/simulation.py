"""The command that simulates searches over recorded trainings."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._files import picture_format
from .._text import counted, plain
from ..errors import InputError
from ..results.samplers import SAMPLERS
from .choices import OneOf
from .commands import Command
from .options import PATH, Integer, finals_options, format_option, print_table, pruner_options

if TYPE_CHECKING:
    from ..search.recorded import Recorded
    from ..search.simulation import Simulation, Summary


@click.command(cls=Command)
@click.argument("tables", metavar="TABLE...", type=PATH, nargs=-1, required=True)
@click.option(
    "--sampler",
    "samplers",
    type=OneOf(SAMPLERS),
    multiple=True,
    default=("tpe",),
    show_default=True,
    help="How candidates are drawn; repeatable.",
)
@pruner_options
@finals_options
@click.option(
    "--trials", type=Integer(1), default=20, show_default=True, help="Candidates of each search."
)
@click.option(
    "--repeats", type=Integer(1), default=100, show_default=True, help="Searches of each sampler."
)
@click.option(
    "--seed", type=Integer(0), default=0, show_default=True, help="Of all that is random."
)
@format_option("table", "json")
@click.option("--output", type=PATH, help="Also draw a picture into this .png, .svg or .pdf file.")
def simulate(
    tables: tuple[Path, ...],
    samplers: tuple[str, ...],
    pruner: str,
    first_rung: int | None,
    reduction: int,
    prune_by: str | None,
    finals: str | None,
    final_epochs: int | None,
    trials: int,
    repeats: int,
    seed: int,
    form: str,
    output: Path | None,
) -> None:
    """Simulate searches over TABLE: how good is the network that they find, at which cost?

    TABLE is a run folder (or several, which have other seeds of the same networks), a table of
    learning curves, or NAS-Bench-Macro's JSON. Nothing is trained: the real search draws among the
    recorded networks and meets each seed of them once.
    """
    from ..search.defaults import named_finals, named_pruning
    from ..search.recorded import read_recorded
    from ..search.simulation import Simulation, check, simulate, summarize

    if output:
        _check_output(output)
    share = named_finals(finals, final_epochs, "accuracy")
    recorded = read_recorded(*tables)
    pruning = named_pruning(pruner, first_rung, reduction, prune_by, recorded.epochs)
    plan = Simulation(trials, pruning, share, seed)
    samplers = tuple(dict.fromkeys(samplers))
    check(plan, recorded, samplers)
    found, ended, lacking = {}, {}, {}
    for sampler in samplers:
        searches = [simulate(plan, recorded, sampler, repeat) for repeat in range(repeats)]
        found[sampler] = summarize(recorded, searches)
        ended[sampler] = Counter(search.ended for search in searches if search.ended)
        lacking[sampler] = sum(search.lacks_finals for search in searches) if share.share else 0
    title = f"{counted(repeats, 'search')} of {counted(trials, 'candidate')}"
    if form == "json":
        click.echo(json.dumps(_json(plan, recorded, repeats, found, ended, lacking), indent=1))
    else:
        print_table(_table(found, f"{recorded.table.source}: {title}", recorded))
        for line in (*_notes(recorded, repeats, ended), *_without_finals(plan, repeats, lacking)):
            click.echo(plain(line, limit=1000))
    if output:
        _draw(found, recorded, title, output)


def _check_output(output: Path) -> None:
    """Refuses, before anything is simulated, what no picture can be written to."""
    picture_format(output)
    if output.is_dir():
        raise InputError(f"--output {output}: is a folder, the name of a file is expected")
    if not output.absolute().parent.is_dir():
        raise InputError(f"--output {output}: there is no folder {output.parent}")


def _draw(found: dict[str, list[Summary]], recorded: Recorded, title: str, output: Path) -> None:
    """Draws the regrets; the path is told on standard error, beside the result."""
    from ..report.simulated import draw_simulations
    from ..report.style import NothingToDraw

    best = max(recorded.accuracies.values())
    try:
        draw_simulations(found, _unit(recorded), title, best).save(output)
    except NothingToDraw as why:
        raise InputError(f"--output {output}: there is nothing to draw: {why}") from None
    click.echo(plain(output, limit=1000), err=True)


def _json(
    plan: Any,
    recorded: Recorded,
    repeats: int,
    found: dict[str, list[Summary]],
    ended: dict[str, Counter[str]],
    lacking: dict[str, int],
) -> dict[str, Any]:
    return {
        "table": recorded.table.source,
        "networks": len(recorded.table.networks),
        "left_out": recorded.left_out,
        "epochs": recorded.epochs if recorded.has_curves else None,
        "seeds": recorded.seeds,
        "best": max(recorded.accuracies.values()),
        **dataclasses.asdict(plan),
        "repeats": repeats,
        "cost_in": _unit(recorded),
        "samplers": {
            sampler: {
                "moments": [dataclasses.asdict(summary) for summary in summaries],
                "ended_for_lack_of_seeds": dict(ended[sampler]),
                "without_finals": lacking[sampler] if plan.finals.share else repeats,
            }
            for sampler, summaries in found.items()
        },
    }


def _unit(recorded: Recorded) -> str:
    """What the cost of a search is counted in: the last accuracies do not tell of images."""
    return "images" if recorded.has_curves else "trainings"


def _table(found: dict[str, list[Summary]], title: str, recorded: Recorded) -> Any:
    from rich.table import Table

    from .._text import cell

    table = Table(title=cell(title, limit=2000), title_justify="left")
    table.add_column("sampler")
    for name in ("after", _unit(recorded), "true accuracy, %", "regret, points", "95 %"):
        table.add_column(name, justify="right")
    for sampler, summaries in found.items():
        for summary in summaries:
            margin = summary.margin
            table.add_row(
                sampler,
                summary.after,
                f"{summary.cost:,.0f}",
                f"{100 * summary.accuracy:.3f}",
                f"{100 * summary.regret:.3f}",
                "" if margin is None else f"± {100 * margin:.3f}",
            )
        table.add_section()
    return table


def _notes(recorded: Recorded, repeats: int, ended: dict[str, Counter[str]]) -> list[str]:
    """What to know about the figures, as sentences."""
    low, high = recorded.seeds
    seeds = counted(low, "seed") if low == high else f"{low} to {high} seeds"
    best = max(recorded.accuracies.values())
    lines = [
        f"{counted(len(recorded.table.networks), 'network')} with {seeds} each; "
        f"the best has {100 * best:.3f} % by the mean of its own"
    ]
    if recorded.left_out:
        lines.append(f"{counted(recorded.left_out, 'network')} with fewer epochs left out")
    for sampler, stages in ended.items():
        lines += [
            f"{sampler}: in {count} of {counted(repeats, 'search')} the {stage} ended early, "
            "because a network had no further recorded seed"
            for stage, count in stages.items()
        ]
    return lines


def _without_finals(plan: Simulation, repeats: int, lacking: dict[str, int]) -> list[str]:
    """Which searches had none of the finals that were asked for, as sentences."""
    from ..results.finals import LEAST_BUDGET

    return [
        f"{sampler}: {count} of {repeats} searches had no finals, because a share of "
        f"{plan.finals.share:g} left fewer than {LEAST_BUDGET} trainings, or fewer than two "
        "candidates were complete"
        for sampler, count in lacking.items()
        if count
    ]
