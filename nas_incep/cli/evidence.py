"""Commands that say how far a ranking can be believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._text import counted, plain
from .commands import Command
from .options import (
    PATH,
    Integer,
    anew_option,
    display_options,
    format_option,
    print_table,
    resume_options,
)

if TYPE_CHECKING:
    from ..results.agreement import Estimate
    from ..results.fidelity import Certificate


@click.command(cls=Command)
@click.argument("run", metavar="RUN", type=PATH)
@click.option(
    "--networks",
    type=Integer(1),
    default=12,
    show_default=True,
    help="Candidates drawn at random from the whole ranking.",
)
@click.option(
    "--top", type=Integer(0), default=4, show_default=True, help="The best candidates, besides."
)
@click.option(
    "--seeds", type=Integer(2), default=2, show_default=True, help="Trainings of each of them."
)
@click.option(
    "--times",
    type=Integer(1),
    default=4,
    show_default=True,
    help="How many times as many epochs as in the search they have.",
)
@anew_option
@resume_options
@format_option("table", "json")
@display_options
def fidelity(
    run: Path,
    networks: int,
    top: int,
    seeds: int,
    times: int,
    form: str,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Train some networks of RUN for longer, and tell how far its ranking can be believed.

    Prints how the brief ranking agrees with the long trainings, beside what could be had without
    training (the number of MACs, of parameters) and the most that seeds allow. The same command
    goes on where it was stopped, and prints the figures at once if nothing is left to train.
    """
    from ..results.fidelity import Fidelity
    from ..results.ranking import certificate
    from ..search.start import plan_resume
    from .running import see_through

    asked = Fidelity(networks, top, seeds, times)
    plan = plan_resume(run, fidelity=asked, own_process=True, **options)
    see_through(plan, quiet, verbose)
    found = certificate(plan.run, asked)
    if form == "json":
        click.echo(json.dumps(found.to_json(), indent=1))
        return
    print_table(_table(found, f"{run}: is its ranking to be believed?"))
    for sentence in found.sentences:
        click.echo(sentence)
    click.echo(plain(found.verdict))


def _table(found: Certificate, title: str) -> Any:
    from rich.table import Table

    from .._text import cell

    table = Table(title=cell(title, limit=2000), title_justify="left")
    table.add_column(
        f"agreement with {counted(found.seeds, 'seed')} of {counted(found.epochs, 'epoch')}"
    )
    table.add_column("Kendall's tau", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, tau in found.taus.items():
        table.add_row(name, *_figures(tau))
    table.add_section()
    table.add_row("brief ranking with one long seed", *_figures(found.single))
    table.add_row("one long seed with another (ceiling)", *_figures(found.ceiling))
    table.add_section()
    table.add_row("Spearman's rho of the brief ranking", *_figures(found.rho))
    table.add_row("tau above that of MACs", *_figures(found.gain))
    table.caption = f"{found.networks} networks, standing for {found.candidates} candidates"
    return table


def _figures(estimate: Estimate) -> tuple[str, str]:
    return f"{estimate.value:.2f}", f"{estimate.low:.2f} to {estimate.high:.2f}"
