"""The command that ranks the networks of a run."""

from __future__ import annotations

from pathlib import Path

import click

from .._text import plain
from .commands import Command
from .options import PATH, format_option, print_table


@click.command(cls=Command)
@click.argument("run_path", metavar="RUN", type=PATH)
@format_option("table", "json", "csv")
def leaderboard(run_path: Path, form: str) -> None:
    """Rank the networks trained in RUN: candidates and baselines in one list."""
    print_leaderboard(run_path, form)


def print_leaderboard(run_path: Path, form: str) -> None:
    """Prints the ranking of a run folder as a table, JSON or CSV."""
    from ..results import leaderboard as board
    from ..results.ranking import rank_run, verdict
    from ..results.run import Run

    def say(notice: str) -> None:
        click.echo(plain(notice, limit=1000), err=True)

    run = Run(run_path)
    request = run.config().request
    records = run.records(say)
    ranking = rank_run(request, records, run.reruns(say))
    objectives, standings = request.objectives, ranking.standings
    if form == "json":
        click.echo(board.to_json(records, objectives, standings))
    elif form == "csv":
        click.echo(board.to_csv(records, objectives, standings))
    else:
        recipe = request.recipe
        title = (
            f"{run_path}: {request.dataset}, space {request.space.name}, "
            f"recipe {recipe.name}, {recipe.epochs} epochs of "
            f"{recipe.images_per_epoch or 'all'} images"
        )
        surroundings = board.surroundings(records)
        title += f", {surroundings}" if surroundings else ""
        print_table(board.to_table(records, title, objectives, standings))
        click.echo(plain(board.summary(records, objectives)))
        for sentence in verdict(ranking):
            click.echo(plain(sentence))
