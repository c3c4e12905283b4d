"""Commands for one candidate: export it, verify it, evaluate it, register it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._machine import FLOAT32
from .._text import plain
from ..engines import AUTO, choose_engine
from ..errors import InputError
from .options import (
    PATH,
    Integer,
    data_option,
    device_options,
    engine_option,
    format_option,
    prepare_aloud,
)

if TYPE_CHECKING:
    from ..export.bundle import Bundle


@click.command()
@click.argument("run_path", metavar="RUN", type=PATH)
@click.argument("target", metavar="DIR", type=PATH)
@click.option(
    "--rank", type=Integer(1), help="Rank of the candidate in the list; default: the best one."
)
@click.option("--trial", type=Integer(0), help="Trial number of the candidate.")
@click.option("--force", is_flag=True, help="Replace an existing bundle.")
def export(run_path: Path, target: Path, rank: int | None, trial: int | None, force: bool) -> None:
    """Write a candidate of RUN to the folder DIR: architecture, parameters, manifest."""
    if rank is not None and trial is not None:
        raise InputError("--rank and --trial: only one of them can be given")
    from ..export import bundle
    from ..results.run import Run

    run = Run(run_path)
    config = run.config()
    record = bundle.choose(
        run, config, rank, trial, lambda notice: click.echo(plain(notice, limit=1000), err=True)
    )
    bundle.export(run, config, record, target, force)
    click.echo(
        f"{plain(target)}: trial {record.subject.trial}, {plain(record.subject.name)}, "
        f"validation accuracy {record.val_accuracy:.4f}"
    )


@click.command()
@click.argument("path", metavar="DIR", type=PATH)
@data_option
@engine_option
@device_options
def verify(
    path: Path, data_dir: Path | None, engine: str, device: str, threads: int | None
) -> None:
    """Reload the bundle DIR in a fresh process; fail unless its accuracy is reproduced."""
    from ..export import bundle

    try:
        opened = bundle.open_bundle(path)
    except bundle.DamagedError as error:
        click.echo(f"NOT the same: {plain(error, limit=1000)}")
        sys.exit(1)
    engine = _settled(engine, device, opened)
    prepare_aloud(engine, threads, device)
    result = bundle.verify(opened, engine, data_dir, device)
    how = f"{result.images} images"
    if result.trained_in != FLOAT32:
        how += f"; trained in {plain(result.trained_in)}, evaluated in float32 then and now"
    if opened.manifest.accuracy.validation_seen_in_training:
        how += "; seen in training"
    click.echo(
        f"{plain(path)}: validation accuracy {result.measured:.6f}, recorded {result.recorded:.6f} "
        f"({how}): {'verified' if result.holds else 'NOT the same'}"
    )
    if not result.holds:
        sys.exit(1)


@click.command()
@click.argument("path", metavar="DIR", type=PATH)
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="validation",
    show_default=True,
    help="`test` opens the sealed test set; each access is logged.",
)
@data_option
@format_option("text", "json")
@engine_option
@device_options
def evaluate(
    path: Path,
    split: str,
    data_dir: Path | None,
    form: str,
    engine: str,
    device: str,
    threads: int | None,
) -> None:
    """Evaluate the bundle DIR on the validation or test part of its data set."""
    from ..engines import load_engine
    from ..export.bundle import open_bundle
    from ..export.evaluation import evaluate_bundle

    opened = open_bundle(path)
    engine = _settled(engine, device, opened)
    prepare_aloud(engine, threads, device)
    result = evaluate_bundle(opened, load_engine(engine), split, data_dir, device)
    for notice in result.pop("notices"):
        click.echo(plain(notice, limit=1000), err=True)
    if form == "json":
        click.echo(json.dumps(result))
    else:
        seen = " seen in training" if result["seen_in_training"] else ""
        click.echo(
            f"{plain(path)}: {split} accuracy {result['accuracy']:.4f} "
            f"({result['correct']} of {result['images']} images{seen}), loss {result['loss']:.4f}"
        )


def _settled(engine: str, device: str, bundle: Bundle) -> str:
    """The engine to evaluate a bundle with."""
    return choose_engine(device, bundle.manifest.engine)[0] if engine == AUTO else engine


@click.command()
@click.argument("path", metavar="DIR", type=PATH)
@click.argument("name")
def register(path: Path, name: str) -> None:
    """Make the bundle DIR known to GluonCV's get_model as NAME."""
    from ..export import registration
    from ..export.bundle import open_bundle

    click.echo(plain(registration.register(open_bundle(path), name)))
