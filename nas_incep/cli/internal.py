"""Commands that a search gives to processes of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..engines.gluon.tuning import tune
from .options import PATH, device_options


@click.command(hidden=True)
@click.option("--device", "devices", multiple=True)
@click.option("--baseline", "baselines", multiple=True)
@click.option("--precision", default="auto")
def check(devices: tuple[str, ...], baselines: tuple[str, ...], precision: str) -> None:
    """Fail unless devices, precision and baselines are there; print how many GPUs work."""
    from ..engines.gluon.baselines import parse_baseline
    from ..engines.gluon.forms import check_precision
    from ..engines.gluon.runtime import count_gpus, resolve_device

    for spec in baselines:
        parse_baseline(spec)
    for device in devices:
        check_precision(precision, resolve_device(device))
    click.echo(count_gpus())


@click.command(hidden=True)
@click.argument("run_path", metavar="RUN", type=PATH)
@click.option("--seconds", type=float, required=True)
@click.option("--precision", required=True)
@device_options
def measure(
    run_path: Path, seconds: float, precision: str, device: str, threads: int | None
) -> None:
    """Print how many images a second this process trains, a network of RUN's space for example."""
    tune(threads, device)
    from ..datasets import load
    from ..engines.gluon.runtime import resolve_device
    from ..engines.gluon.speed import images_per_second
    from ..results.run import Run
    from ..search.autotune import example
    from ..search.request import from_json

    run = Run(run_path)
    request = from_json(run.config()["request"], str(run.config_path))
    dataset = load(request.dataset, request.data_dir, request.validation_size)

    def ready() -> None:
        click.echo("ready")
        sys.stdin.readline()

    architecture = example(request.space, dataset.info)
    place = resolve_device(device)
    click.echo(
        images_per_second(architecture, dataset, request.recipe, place, precision, seconds, ready)
    )
