"""Commands that search: they train networks and rank them."""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from .._machine import FLOAT32, too_many_threads
from .._text import plain
from ..engines import AUTO, canonical, choose_engine, prepare
from .options import (
    PATH,
    Integer,
    Real,
    data_option,
    device_options,
    engine_option,
    storage_option,
    threads_option,
)
from .ranking import print_leaderboard, say_what_is_next


@click.command()
@click.argument("space")
@click.option("--run", "run_path", type=PATH, required=True, help="Folder of the run.")
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
    "recipe_name",
    default="brief",
    show_default=True,
    help="Preset: brief, notebook or notebook_rmsprop.",
)
@click.option("--epochs", "--num-epochs", type=Integer(1), help="Epochs for each network.")
@click.option(
    "--images-per-epoch",
    type=Integer(1),
    help="Images in an epoch, in whole batches; default: all.",
)
@click.option("--batch-size", type=Integer(1))
@click.option("--optimizer", type=str)
@click.option("--lr", "learning_rate", type=Real(0, min_open=True), help="Peak learning rate.")
@click.option("--wd", "weight_decay", type=Real(0), help="Weight decay.")
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    default=("inception3@75",),
    show_default=True,
    help="NAME or NAME@SIZE from the model zoo, or none; repeatable. NAME:lr=0.003 or "
    "NAME:optimizer=adam,lr=0.001 gives it settings of its own. With PyTorch also DIR/NAME, which "
    "`nas-incep convert` has written.",
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
@click.option("--timeout", type=Real(0, min_open=True), help="Seconds for this call.")
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
@click.option(
    "--workers",
    help="Number of worker processes, or auto; 0: train in this process. Default: one per device, "
    "or on a CPU one per core, at most 8.",
)
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
    "trained, with PyTorch in bfloat16 the baselines, too; evaluation and parameters are in "
    "float32.",
)
@click.option(
    "--deterministic",
    is_flag=True,
    help="Equal searches have equal figures on a GPU, too, where that makes them slower.",
)
@click.option(
    "--device",
    "devices",
    default="auto",
    show_default=True,
    help="auto, cpu, gpu or gpu:K; a list like gpu:0,gpu:1 for several workers.",
)
@engine_option
@threads_option
def search(
    space: str,
    run_path: Path,
    dataset: str | None,
    data_dir: Path | None,
    trials: int,
    recipe_name: str,
    baselines: tuple[str, ...],
    sampler: str,
    pruner: str,
    first_rung: int,
    reduction: int,
    timeout: float | None,
    trial_timeout: float | None,
    keep: int,
    max_params: int | None,
    max_macs: int | None,
    max_latency_ms: float | None,
    latency: bool,
    objective: str,
    validation_size: int | None,
    seed: int,
    workers: str | None,
    storage: str | None,
    heartbeat: int,
    precision: str,
    deterministic: bool,
    devices: str,
    engine: str,
    threads: int | None,
    **recipe_changes: Any,
) -> None:
    """Search SPACE (the name of a shipped space or a TOML file) and rank the networks.

    Repeat the same command to resume a run.
    """
    devices = ",".join(part.strip() for part in devices.split(","))
    engine, notices = _settled(engine, devices, run_path)
    prepare(engine, threads, devices, deterministic)
    from ..recipe import get_recipe
    from ..results.config import SearchRequest
    from ..results.pruning import Pruning
    from ..results.run import Run
    from ..search.display import make_display
    from ..search.slots import Means, count_workers
    from ..search.tuner import search as run_search
    from ..spaces.reader import read_space, with_limits

    limits = {"max_params": max_params, "max_macs": max_macs, "max_latency_ms": max_latency_ms}
    chosen = with_limits(read_space(space), limits)
    request = SearchRequest(
        space=chosen,
        recipe=get_recipe(recipe_name, **recipe_changes),
        trials=trials,
        dataset=dataset or chosen.dataset or "digits",
        data_dir=data_dir,
        validation_size=validation_size,
        seed=seed,
        objective=objective,
        sampler=sampler,
        pruning=Pruning(pruner, first_rung, reduction),
        latency=latency,
        keep=keep,
        trial_timeout=trial_timeout,
        precision=precision,
        deterministic=deterministic,
    )
    slots = tuple(devices.split(","))
    means = Means(
        workers=count_workers(workers),
        devices=slots,
        threads=threads,
        baselines=() if baselines == ("none",) else baselines,
        storage=storage,
        heartbeat=heartbeat,
        timeout=timeout,
        engine=engine,
        notices=(*notices, *too_many_threads(threads)),
    )
    try:
        records = run_search(request, Run(run_path), make_display(), means)
    except KeyboardInterrupt:
        click.echo(
            f"{plain(run_path)}: stopped; finished trials are kept, the same command resumes",
            err=True,
        )
        sys.exit(130)
    print_leaderboard(run_path, "table")
    say_what_is_next(run_path, records)


def _settled(engine: str, devices: str, run_path: Path) -> tuple[str, tuple[str, ...]]:
    """The engine of a search, and what to say of it: a run that has begun keeps its own."""
    from ..results.run import Run

    if engine != AUTO:
        return canonical(engine), ()
    run = Run(run_path)
    if run.config_path.exists():
        return run.config().engine, ()
    engine, reason = choose_engine(devices)
    return engine, (f"--engine auto: {engine} ({reason})",)


@click.command()
@click.argument("run_path", metavar="RUN", type=PATH)
@storage_option
@data_option
@click.option("--timeout", type=Real(0, min_open=True), help="Seconds for this call.")
@click.option("--baseline", "baselines", multiple=True, hidden=True)
@click.option("--supervised-as", default="", hidden=True)
@device_options
def worker(
    run_path: Path,
    storage: str | None,
    data_dir: Path | None,
    timeout: float | None,
    baselines: tuple[str, ...],
    supervised_as: str,
    device: str,
    threads: int | None,
) -> None:
    """Join the search in the run folder RUN, which `nas-incep search` has started.

    To join from another machine, share the folder between the machines and keep the study in a
    database (--storage).
    """
    from ..errors import ProcessSpent, TimeUp
    from ..results.run import Run
    from ..search import supervisor as supervise
    from ..search.display import make_display
    from ..search.events import EventDisplay
    from ..search.tuner import join_and_work
    from ..search.worker import Post

    deadline = time.monotonic() + (timeout or math.inf)
    run = Run(run_path)
    config = run.config()
    prepare(config.engine, threads, device, config.request.deterministic)
    display = EventDisplay(supervise.attach()) if supervised_as else make_display()
    try:
        with display:
            for notice in () if supervised_as else too_many_threads(threads):
                display.say(notice)
            post = Post(device, baselines, deadline, supervised_as)
            join_and_work(run, config, storage, data_dir, display, post)
    except ProcessSpent:
        if supervised_as:
            os._exit(supervise.SPENT)  # MXNet, cleaning up, may crash
        raise
    except TimeUp:
        if supervised_as:
            sys.exit(supervise.TIME_UP)
        display.say(f"--timeout: {timeout:g} s have passed; the same command resumes")
