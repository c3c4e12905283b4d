"""Commands that begin, resume and join a search have the rest in common: see it through."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._text import plain
from .ranking import print_leaderboard

if TYPE_CHECKING:
    from ..records import TrialRecord
    from ..search.start import Plan


def carry_out(plan: Plan, form: str, quiet: bool, verbose: bool) -> None:
    """Runs a search with a display, then prints its ranking; Ctrl-C exits with status 130."""
    records = see_through(plan, quiet, verbose)
    print_leaderboard(plan.run.path, form)
    _say_what_is_next(plan.run.path, records)


def see_through(plan: Plan, quiet: bool = False, verbose: bool = False) -> list[TrialRecord]:
    """Runs a search with a display; its records. Ctrl-C exits with status 130."""
    from ..search.display import make_display
    from ..search.start import resume_command

    path = plan.run.path
    try:
        return plan.carry_out(make_display(quiet, verbose))
    except KeyboardInterrupt:
        command = plain(resume_command(plan.run, plan.means), limit=4000)
        click.echo(
            f"{plain(path)}: stopped; finished trials are kept; to go on: {command}", err=True
        )
        sys.exit(130)


def _say_what_is_next(run_path: Path, records: list[TrialRecord]) -> None:
    """Names the command that people want after a search, unless there is nothing to export."""
    from ..records import COMPLETE

    if any(r.outcome.state == COMPLETE and not r.subject.is_baseline for r in records):
        target = run_path / "best"
        force = " --force" if target.exists() else ""
        command = shlex.join(["nas-incep", "export", str(run_path), str(target)])
        click.echo(f"The best network as a bundle: {plain(command)}{force}", err=True)
