"""The command that ranks the networks of a run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._text import cell, counted, plain
from ..errors import InputError
from .choices import OneOf
from .commands import Command
from .options import PATH, Integer, format_option

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# The columns of `results.tables`, whose import takes as long as that of numpy.
SORTABLE = (
    *("rank", "front", "name", "accuracy", "params", "macs", "latency", "state", "ranks", "trial"),
    *("kind", "epochs", "seconds", "speed", "blocks"),
)
REFRESH = 2.0  # seconds between two looks at a run that is watched
# Where the output is no terminal, whose width is not known.
WIDTH = 200


@click.command(cls=Command)
@click.argument("run", metavar="RUN", type=PATH)
@click.option("--top", type=Integer(1), help="Show the first so many rows.")
@click.option("--sort", type=OneOf(SORTABLE), help="Order by this column; default: rank.")
@click.option("--wide", is_flag=True, help="All columns, also beyond the terminal's edge.")
@click.option("--watch", is_flag=True, help="Refresh until nobody works on the run.")
@format_option("table", "json", "csv")
def leaderboard(
    run: Path, top: int | None, sort: str | None, wide: bool, watch: bool, form: str
) -> None:
    """Rank the networks trained in RUN: candidates and baselines in one list."""
    if watch and form != "table":
        raise InputError(f"--watch: shows a table, not {form}")
    if watch:
        _watch(run, sort, top, wide)
    else:
        print_leaderboard(run, form, sort, top, wide)


def print_leaderboard(
    path: Path, form: str, sort: str | None = None, top: int | None = None, wide: bool = False
) -> None:
    """Prints the ranking of a run folder as a table, JSON or CSV."""
    from rich.table import Table

    from ..results import leaderboard as board
    from ..results.tables import sort_rows

    if form == "table":
        console = _console(wide)
        for part in _parts(path, console, sort, top, wide):
            console.print(part, soft_wrap=wide or not isinstance(part, Table))
        return
    rows = sort_rows(_Ranked(path).rows, sort, top)
    click.echo(json.dumps(rows, indent=1) if form == "json" else board.csv_of(rows))


class _Ranked:
    """The ranking of a run as it is now; damaged records are reported and left out."""

    def __init__(self, path: Path) -> None:
        from ..results import leaderboard as board
        from ..results.ranking import rank_run
        from ..results.run import Run

        def say(notice: str) -> None:
            click.echo(plain(notice, limit=1000), err=True)

        run = Run(path)
        config = run.config()
        self.request, self.engine = config.request, config.engine
        self.records = run.records(say)
        self.ranking = rank_run(self.request, self.records, run.reruns(say))
        self.rows = board.rows(self.records, self.request.objectives, self.ranking.standings)


def _parts(
    path: Path,
    console: Console,
    sort: str | None,
    top: int | None,
    wide: bool,
    trainings: Sequence[str] = (),
) -> Iterator[Any]:
    """What is shown of a run: the search, `trainings` in progress, the table, what it says."""
    from ..results import leaderboard as board
    from ..results.ranking import verdict
    from ..results.tables import sort_rows, to_table

    ranked = _Ranked(path)
    request, recipe = ranked.request, ranked.request.recipe
    title = (
        f"{path}: {request.dataset}, space {request.space.name}, recipe {recipe.name}, "
        f"{counted(recipe.epochs, 'epoch')} of {recipe.images_per_epoch or 'all'} images, "
        f"engine {ranked.engine}"
    )
    longer = request.finals.epochs
    if longer and longer != recipe.epochs:
        title += f", finals of {counted(longer, 'epoch')}"
    surroundings = board.surroundings(ranked.records)
    yield cell(f"{title}, {surroundings}" if surroundings else title, limit=2000)
    for training in trainings:
        yield cell(training)
    yield to_table(sort_rows(ranked.rows, sort, top), None if wide else console.width)
    yield cell(board.summary(ranked.records, request.objectives), limit=2000)
    if request.baseline_rates:
        yield cell(f"learning rates of baselines: {request.rates_text}", limit=2000)
    for sentence in verdict(ranked.ranking):
        yield cell(sentence, limit=2000)


def _console(wide: bool) -> Console:
    from rich.console import Console

    console = Console()
    if wide:  # nothing is cut or wrapped; `less -S` scrolls sideways
        return Console(width=10_000)
    return console if console.is_terminal else Console(width=WIDTH)


def _watch(path: Path, sort: str | None, top: int | None, wide: bool) -> None:
    """Shows a run in flight, with what is in training, until nobody works on it."""
    from rich.console import Group
    from rich.live import Live

    from ..results.run import Run
    from ..search.in_training import in_training, sentences
    from ..search.liveness import is_anyone_present

    run, console = Run(path), _console(wide)

    def look() -> RenderableType:
        return Group(*_parts(path, console, sort, top, wide, sentences(in_training(run))))

    with Live(look(), console=console, auto_refresh=False) as live:
        while run.is_locked() or is_anyone_present(run.workers_path):
            time.sleep(REFRESH)
            live.update(look(), refresh=True)
