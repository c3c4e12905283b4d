"""Commands that show runs: a report, single pictures, a comparison, the dashboard."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .._text import plain
from .choices import OneOf
from .commands import Command
from .options import PATH, Integer, format_option, print_table, storage_option

KINDS = (
    *("progress", "macs", "parameters", "curves", "finals", "ranks", "fidelity", "importances"),
    *("outcomes", "architecture"),
)


@click.command(cls=Command)
@click.argument("run_path", metavar="RUN", type=PATH)
@click.option("--output", type=PATH, help="The file to write; default: RUN/report.html.")
def report(run_path: Path, output: Path | None) -> None:
    """Write what RUN has found to one HTML file, which opens offline."""
    from ..report.page import write_report
    from ..results.run import Run

    run = Run(run_path)
    output = output or run.report_path
    for notice in write_report(run, output).notices:
        click.echo(plain(notice, limit=1000), err=True)
    click.echo(plain(output, limit=1000))


@click.command(cls=Command)
@click.argument("run_path", metavar="RUN", type=PATH)
@click.argument("kind", metavar="KIND", type=OneOf(KINDS))
@click.option("--output", type=PATH, required=True, help="The file: .png, .svg or .pdf.")
def plot(run_path: Path, kind: str, output: Path) -> None:
    """Draw one picture of RUN.

    KIND is progress (best so far), macs or parameters (accuracy against them), curves, finals (the
    accuracy of each seed), ranks (which are possible), fidelity (brief accuracies against those of
    long trainings), importances, outcomes, or architecture (of the best candidate).
    """
    from ..report.pictures import write_picture
    from ..results.run import Run

    for notice in write_picture(Run(run_path), kind, output).notices:
        click.echo(plain(notice, limit=1000), err=True)
    click.echo(plain(output, limit=1000))


@click.command(cls=Command)
@click.argument("run_paths", metavar="RUN RUN...", type=PATH, nargs=-1, required=True)
@format_option("table", "json")
def compare(run_paths: tuple[Path, ...], form: str) -> None:
    """Show runs side by side; what differs from the first, and which cannot be compared with it."""
    from ..errors import InputError
    from ..report import comparison
    from ..report.contents import read_contents
    from ..results.run import Run

    if len(run_paths) < 2:
        raise InputError(f"{run_paths[0]}: two or more runs are expected")
    runs = [read_contents(Run(path)) for path in run_paths]
    for notice in (notice for run in runs for notice in run.notices):
        click.echo(plain(notice, limit=1000), err=True)
    compared = comparison.compare(runs)
    if form == "json":
        click.echo(json.dumps([run.to_json() for run in compared], indent=1))
        return
    print_table(comparison.to_table(compared))
    for line in comparison.sentences(compared):
        click.echo(plain(line, limit=2000))


@click.command(cls=Command)
@click.argument("run_path", metavar="RUN", type=PATH)
@click.option("--port", type=Integer(1, 65535), default=8080, show_default=True)
@storage_option
def dashboard(run_path: Path, port: int, storage: str | None) -> None:
    """Serve optuna-dashboard on the study of RUN, on this machine only, until Ctrl-C."""
    from ..results.run import Run
    from ..search.tuner import storage_of
    from ..study.dashboard import serve

    run = Run(run_path)
    config = run.config()
    where = storage_of(run, config, storage)
    serve(where, config.study, port, lambda line: click.echo(plain(line), err=True))
