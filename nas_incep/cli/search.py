"""The command that searches: it trains networks and ranks them."""

from __future__ import annotations

from typing import Any

import click

from .._machine import FLOAT32, PRECISIONS
from ..engines import AUTO
from ..recipe import BASELINE_LRS, OPTIMIZERS, RECIPES
from ..results.samplers import SAMPLERS
from .choices import DatasetName, OneOf, SpaceName
from .commands import Command
from .options import (
    PATH,
    Integer,
    Real,
    data_option,
    devices_option,
    display_options,
    engine_option,
    finals_options,
    format_option,
    image_options,
    logger_option,
    pruner_options,
    storage_option,
    threads_option,
    timeout_option,
    workers_option,
)
from .running import carry_out

# Under which headings the help shows the options.
SECTIONS = {
    "What is searched": (
        *(
            "run",
            "trials",
            "timeout",
            "keep",
            "warm_start",
            "from_top",
            "objective",
            "dataset",
            "data_dir",
            "image_size",
            "channels",
            "flip",
            "validation_size",
            "baseline",
        ),
        *("max_params", "max_macs", "max_latency_ms", "latency"),
    ),
    "How a network is trained": (
        *("recipe", "epochs", "images_per_epoch", "batch_size", "optimizer", "lr", "momentum"),
        *("wd", "precision", "trial_timeout"),
    ),
    "How the search decides": (
        *("sampler", "seed", "pruner", "first_rung", "reduction", "prune_by"),
        *("finals", "final_epochs"),
    ),
    "What it computes with": (
        *("engine", "device", "deterministic", "workers", "threads", "storage", "heartbeat"),
    ),
    "What is shown": (*("form", "quiet", "verbose", "logger"),),
}


@click.command(cls=Command, sections=SECTIONS)
@click.argument("space", type=SpaceName())
@click.option("--run", "--save-dir", "run", type=PATH, required=True, help="Folder of the run.")
@click.option(
    "--dataset",
    type=DatasetName(),
    help="See `nas-incep data`, or the path of your own; default: the one named by the space.",
)
@data_option
@image_options
@click.option(
    "--trials",
    type=Integer(0),
    default=20,
    show_default=True,
    help="Candidates to train, over all calls with this run.",
)
@click.option(
    "--recipe",
    type=OneOf(tuple(RECIPES)),
    help="Preset of all settings; default: the space's, or brief.",
)
@click.option(
    "--epochs", "--num-epochs", "epochs", type=Integer(1), help="Epochs for each network."
)
@click.option(
    "--images-per-epoch",
    type=Integer(1),
    help="Images in an epoch, in whole batches; default: all.",
)
@click.option("--batch-size", type=Integer(1), help="Images in a step.")
@click.option("--optimizer", type=OneOf(OPTIMIZERS))
@click.option(
    "--lr",
    type=Real(0, min_open=True, zero="with 0 a network learns nothing"),
    help="Peak learning rate.",
)
@click.option("--momentum", type=Real(0, 1, max_open=True), help="Of sgd and nag.")
@click.option("--wd", type=Real(0), help="Weight decay.")
@click.option(
    "--baseline",
    multiple=True,
    help="NAME or NAME@SIZE from the model zoo, or none; repeatable. NAME:lr=0.003 or "
    "NAME:optimizer=adam,lr=0.001 gives it settings of its own. Also MODULE:FUNCTION, which makes "
    "a network of your own, and DIR/NAME, which `nas-incep convert` has written. Default: the "
    "space's, or inception3@75.",
)
@click.option(
    "--baseline-lr",
    type=OneOf(BASELINE_LRS),
    default="rule",
    show_default=True,
    help="Learning rates of baselines that name none: by the size of their weights, or the "
    "recipe's.",
)
@click.option(
    "--objective",
    default="accuracy",
    show_default=True,
    help="accuracy, alone or with macs, params or latency: accuracy,macs gives a Pareto front.",
)
@click.option(
    "--sampler",
    type=OneOf(SAMPLERS),
    default="tpe",
    show_default=True,
    help="How candidates are drawn.",
)
@pruner_options
@finals_options
@timeout_option
@click.option("--trial-timeout", type=Real(0, min_open=True), help="Seconds for one training.")
@click.option(
    "--keep",
    type=Integer(1),
    default=10,
    show_default=True,
    help="Number of best candidates whose parameters are kept.",
)
@click.option(
    "--from",
    "--warm-start",
    "warm_start",
    metavar="RUN",
    type=PATH,
    help="An earlier run, whose best networks that are in SPACE are trained first.",
)
@click.option("--from-top", type=Integer(1), help="Take so many at most; default: 5.")
@click.option("--max-params", type=Integer(1), help="Limit on trainable parameters.")
@click.option("--max-macs", type=Integer(1), help="Limit on multiply-accumulates.")
@click.option(
    "--max-latency-ms",
    type=Real(0, min_open=True),
    help="Limit on the measured time for one image.",
)
@click.option("--latency", is_flag=True, help="Measure each network's time for one image.")
@click.option("--validation-size", type=Integer(1), help="Images held out for ranking.")
@click.option(
    "--seed", type=Integer(0), default=0, show_default=True, help="Of all that is random."
)
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
    "--dtype",
    "precision",
    type=OneOf((*PRECISIONS, AUTO)),
    default=FLOAT32,
    show_default=True,
    help="Precision in which the candidates' blocks are trained, with PyTorch in bfloat16 the "
    "baselines, too; evaluation and parameters are in float32.",
)
@click.option(
    "--deterministic",
    is_flag=True,
    help="Equal searches have equal figures on a GPU, too, where that makes them slower.",
)
@devices_option
@engine_option
@threads_option
@logger_option
@format_option("table", "json", "csv")
@display_options
def search(
    space: str,
    baseline: tuple[str, ...],
    form: str,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Search SPACE (the name of a shipped space or a TOML file) and rank the networks.

    A search that was stopped goes on with `nas-incep resume`, or with the same command again.
    """
    from ..search.start import plan_search

    plan = plan_search(space, baseline=baseline or None, own_process=True, **options)
    carry_out(plan, form, quiet, verbose)
