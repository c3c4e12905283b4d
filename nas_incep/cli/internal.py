"""Hidden commands that a search runs in subprocesses."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import click

from ..engines import prepare
from ..errors import InputError
from .options import PATH, Integer, Real, device_options


@click.command(hidden=True)
@click.option("--engine", required=True)
@click.option("--device", "devices", multiple=True)
@click.option("--baseline", "baselines", multiple=True)
@click.option("--classes", type=Integer(1), required=True)
@click.option("--image-shape", required=True)
@click.option("--precision", default="auto")
def check(
    engine: str,
    devices: tuple[str, ...],
    baselines: tuple[str, ...],
    classes: int,
    image_shape: str,
    precision: str,
) -> None:
    """Fail unless devices, precision and baselines can be used; print what was found as JSON."""
    from ..search.checking import check

    channels, height, width = map(int, image_shape.split(","))
    shape = (channels, height, width)
    found = check(engine, devices, baselines, classes, shape, precision)
    click.echo(json.dumps(dataclasses.asdict(found)))


@click.command(hidden=True)
@click.argument("spec")
def graph(spec: str) -> None:
    """Print the graph of a network of the model zoo, for engines that have no zoo of their own."""
    prepare("gluon", None, "cpu")
    from ..engines.gluon.symbols import export_graph

    click.echo(json.dumps(export_graph(spec), separators=(",", ":")))


@click.command(hidden=True)
@click.argument("path", metavar="MODULE:FUNCTION")
@click.option("--classes", type=Integer(1), required=True)
def own_graph(path: str, classes: int) -> None:
    """Print the graph of the network that a function of the user's own makes."""
    from ..engines.specs import import_path

    function = import_path(path)
    if function is None:
        raise InputError(f"{path}: MODULE:FUNCTION is expected")
    prepare("gluon", None, "cpu")
    from ..engines.gluon import own

    click.echo(json.dumps(own.own_graph(function, classes), separators=(",", ":")))


@click.command(hidden=True)
@click.argument("run_path", metavar="RUN", type=PATH)
@click.option("--seconds", type=Real(0), required=True)
@click.option("--precision", required=True)
@device_options
def measure(
    run_path: Path, seconds: float, precision: str, device: str, threads: int | None
) -> None:
    """Print how many images per second this process trains on a network from RUN's space."""
    from ..results.run import Run
    from ..search.autotune import measure_speed

    run = Run(run_path)
    config = run.config()
    prepare(config.engine, threads, device, config.request.deterministic)

    def ready() -> None:
        click.echo("ready")
        sys.stdin.readline()

    click.echo(measure_speed(config, run, device, precision, seconds, ready))
