"""The command that ranks the networks of a run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._text import plain
from .options import PATH, format_option, print_table

if TYPE_CHECKING:
    from ..records import TrialRecord


@click.command()
@click.argument("run_path", metavar="RUN", type=PATH)
@format_option("table", "json", "csv")
def leaderboard(run_path: Path, form: str) -> None:
    """Rank the networks trained in RUN: candidates and baselines in one list."""
    print_leaderboard(run_path, form)


def print_leaderboard(run_path: Path, form: str) -> None:
    """Prints the ranking of a run folder as a table, JSON or CSV."""
    from ..results import leaderboard as board
    from ..results.run import Run

    run = Run(run_path)
    request = run.config().request
    records = run.records(lambda notice: click.echo(plain(notice, limit=1000), err=True))
    objectives = request.objectives
    if form == "json":
        click.echo(board.to_json(records, objectives))
    elif form == "csv":
        click.echo(board.to_csv(records, objectives))
    else:
        recipe = request.recipe
        title = (
            f"{run_path}: {request.dataset}, space {request.space.name}, "
            f"recipe {recipe.name}, {recipe.epochs} epochs of "
            f"{recipe.images_per_epoch or 'all'} images"
        )
        surroundings = board.surroundings(records)
        title += f", {surroundings}" if surroundings else ""
        print_table(board.to_table(records, title, objectives))
        click.echo(plain(board.summary(records, objectives)))


def say_what_is_next(run_path: Path, records: list[TrialRecord]) -> None:
    """Names the command that people want after a search, unless there is nothing to export."""
    from ..records import COMPLETE

    if any(r.outcome.state == COMPLETE and not r.subject.is_baseline for r in records):
        target = run_path / "best"
        force = " --force" if target.exists() else ""
        command = shlex.join(["nas-incep", "export", str(run_path), str(target)])
        click.echo(f"The best network as a bundle: {plain(command)}{force}", err=True)
