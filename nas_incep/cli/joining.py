"""Commands that work on a run that has begun: go on with its search, or join it."""

from __future__ import annotations

import math
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._machine import too_many_threads
from .._processes import PREFIX
from .._text import counted, plain
from ..engines import prepare
from .commands import Command
from .options import (
    PATH,
    Integer,
    anew_option,
    data_option,
    device_options,
    display_options,
    finals_options,
    format_option,
    resume_options,
    storage_option,
    timeout_option,
)
from .running import carry_out

if TYPE_CHECKING:
    from ..results.run import Run


@click.command(cls=Command)
@click.argument("run", metavar="RUN", type=PATH)
@click.option(
    "--trials", type=Integer(0), help="Candidates to train, over all calls; default: the run's."
)
@click.option(
    "--baseline", multiple=True, help="As in `nas-incep search`; default: those of the run."
)
@finals_options
@resume_options
@format_option("table", "json", "csv")
@display_options
def resume(
    run: Path,
    baseline: tuple[str, ...],
    form: str,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Go on with the search in the run folder RUN, as it was asked for, and rank the networks."""
    from ..search.start import plan_resume

    plan = plan_resume(run, baseline=baseline or None, own_process=True, **options)
    carry_out(plan, form, quiet, verbose)


@click.command(cls=Command)
@click.argument("run", metavar="RUN", type=PATH)
@finals_options
@anew_option
@resume_options
@format_option("table", "json", "csv")
@display_options
def finals(
    run: Path,
    finals: str | None,
    form: str,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Train the best of RUN again with fresh seeds, to tell its best network from lucky ones.

    A search has its own finals unless it was asked for none.
    """
    from ..results.finals import LEAST_BUDGET
    from ..results.run import Run
    from ..search.defaults import finals_share
    from ..search.start import plan_resume

    share = finals_share(Run(run), finals)
    plan = plan_resume(run, finals=share, own_process=True, **options)
    carry_out(plan, form, quiet, verbose)
    if not plan.run.reruns():
        click.echo(
            f"{plain(run)}: no finals: a share of {share} leaves fewer than {LEAST_BUDGET} "
            "trainings, or fewer than two candidates are complete or kept (--keep)",
            err=True,
        )


def _say_if_done(run: Run, trials: int) -> None:
    """Tells a user who joins a search that has ended; other workers find that out by themselves."""
    done = sum(r.counts and not r.subject.is_baseline for r in run.records(lambda notice: None))
    if done >= trials:
        command = shlex.join(["nas-incep", "resume", str(run.path), "--trials", "N"])
        click.echo(
            f"{plain(run.path)}: done with its {counted(trials, 'trial')}; for more: "
            f"{plain(command)}",
            err=True,
        )


@click.command(cls=Command)
@click.argument("run_path", metavar="RUN", type=PATH)
@storage_option
@data_option
@timeout_option
@click.option("--baseline", "baselines", multiple=True, hidden=True)
@click.option("--supervised-as", default="", hidden=True)
@device_options
@display_options
def worker(
    run_path: Path,
    storage: str | None,
    data_dir: Path | None,
    timeout: float | None,
    baselines: tuple[str, ...],
    supervised_as: str,
    device: str,
    threads: int | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Join the search in the run folder RUN, which `nas-incep search` has started.

    To join from another machine, share the folder between the machines and keep the study in a
    database (--storage).
    """
    from ..errors import DeviceLost, ProcessSpent, TimeUp
    from ..results.run import Run
    from ..search import supervisor as supervise
    from ..search.display import make_display
    from ..search.events import EventDisplay
    from ..search.tuner import join_and_work
    from ..search.worker import Post

    deadline = time.monotonic() + (timeout or math.inf)
    run = Run(run_path)
    config = run.config()
    if not supervised_as:
        _say_if_done(run, config.request.trials)
    prepare(config.engine, threads, device, config.request.deterministic)
    events = supervised_as and EventDisplay(supervise.attach())
    display = events or make_display(quiet, verbose)
    try:
        with display:
            for notice in () if supervised_as else too_many_threads(threads):
                display.say(notice)
            post = Post(device, baselines, deadline, supervised_as)
            join_and_work(run, config, storage, data_dir, display, post)
    except ProcessSpent as spent:
        if not supervised_as:
            raise
        lost = isinstance(spent, DeviceLost)
        if lost:
            click.echo(f"{PREFIX}{plain(spent.reason)}", err=True)
        os._exit(supervise.LOST if lost else supervise.SPENT)  # a framework may crash, cleaning up
    except TimeUp:
        if supervised_as:
            sys.exit(supervise.TIME_UP)
        display.say(f"--timeout: {timeout:g} s have passed; the same command resumes")
