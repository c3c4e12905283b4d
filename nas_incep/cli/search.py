"""The command that searches: it trains networks and ranks them."""

from __future__ import annotations

from typing import Any

import click

from .._machine import FLOAT32
from .options import (
    PATH,
    Integer,
    Real,
    data_option,
    devices_option,
    engine_option,
    storage_option,
    threads_option,
    timeout_option,
    workers_option,
)
from .running import carry_out


@click.command()
@click.argument("space")
@click.option("--run", type=PATH, required=True, help="Folder of the run.")
@click.option("--dataset", help="See `nas-incep data`; default: the one named by the space.")
@data_option
@click.option(
    "--trials",
    type=Integer(0),
    default=20,
    show_default=True,
    help="Candidates to train, over all calls with this run.",
)
@click.option(
    "--recipe",
    help="Preset: brief, notebook or notebook_rmsprop; default: the space's, or brief.",
)
@click.option(
    "--epochs", "--num-epochs", "epochs", type=Integer(1), help="Epochs for each network."
)
@click.option(
    "--images-per-epoch",
    type=Integer(1),
    help="Images in an epoch, in whole batches; default: all.",
)
@click.option("--batch-size", type=Integer(1))
@click.option("--optimizer", type=str)
@click.option("--lr", type=Real(0, min_open=True), help="Peak learning rate.")
@click.option("--wd", type=Real(0), help="Weight decay.")
@click.option(
    "--baseline",
    multiple=True,
    help="NAME or NAME@SIZE from the model zoo, or none; repeatable. NAME:lr=0.003 or "
    "NAME:optimizer=adam,lr=0.001 gives it settings of its own. Default: the space's, or "
    "inception3@75.",
)
@click.option(
    "--objective",
    default="accuracy",
    show_default=True,
    help="accuracy, alone or with macs, params or latency: accuracy,macs gives a Pareto front.",
)
@click.option(
    "--sampler", default="tpe", show_default=True, help="tpe, random, nsga2, grid or evolution."
)
@click.option("--pruner", default="none", show_default=True, help="none, sha, hyperband or median.")
@click.option(
    "--first-rung", type=Integer(1), default=1, show_default=True, help="Epochs before pruning."
)
@click.option(
    "--reduction", type=Integer(2), default=3, show_default=True, help="One in this many continues."
)
@timeout_option
@click.option("--trial-timeout", type=Real(0, min_open=True), help="Seconds for one training.")
@click.option(
    "--keep",
    type=Integer(1),
    default=10,
    show_default=True,
    help="Number of best candidates whose parameters are kept.",
)
@click.option("--max-params", type=Integer(1), help="Limit on trainable parameters.")
@click.option("--max-macs", type=Integer(1), help="Limit on multiply-accumulates.")
@click.option(
    "--max-latency-ms",
    type=Real(0, min_open=True),
    help="Limit on the measured time for one image.",
)
@click.option("--latency", is_flag=True, help="Measure each network's time for one image.")
@click.option("--validation-size", type=Integer(1), help="Images held out for ranking.")
@click.option("--seed", type=Integer(0), default=0, show_default=True)
@workers_option
@storage_option
@click.option(
    "--heartbeat",
    type=Integer(1),
    default=60,
    show_default=True,
    help="Seconds between heartbeats in a database; a worker that misses two is considered dead, "
    "so it is longer than a restart of the server.",
)
@click.option(
    "--precision",
    default=FLOAT32,
    show_default=True,
    help="float32, bfloat16, float16 or auto: precision in which the candidates' blocks are "
    "trained; evaluation, parameters and baselines are in float32.",
)
@devices_option
@engine_option
@threads_option
def search(space: str, baseline: tuple[str, ...], **options: Any) -> None:
    """Search SPACE (the name of a shipped space or a TOML file) and rank the networks.

    A search that was stopped goes on with `nas-incep resume`, or with the same command again.
    """
    from ..search.start import plan_search

    carry_out(plan_search(space, baseline=baseline or None, own_process=True, **options))
