"""Commands for one candidate: export it, verify it, evaluate it, register it."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._machine import FLOAT32
from .._text import plain
from .choices import OneOf
from .commands import Command
from .options import (
    PATH,
    choice_options,
    data_option,
    device_options,
    format_option,
    prepare_aloud,
    show_notice,
    trained_engine_option,
)

if TYPE_CHECKING:
    from ..export.bundle import Bundle
    from ..export.verification import Verification


@click.command(cls=Command)
@click.argument("run_path", metavar="RUN", type=PATH)
@click.argument("target", metavar="DIR", type=PATH)
@choice_options
@click.option("--force", is_flag=True, help="Replace an existing bundle.")
@click.option("--onnx", is_flag=True, help="Add model.onnx, compared with the network.")
@click.option("--symbol", is_flag=True, help="Add model-symbol.json and its parameters, for MXNet.")
@click.option("--torch", is_flag=True, help="Add model.pt2, for torch.export.load.")
@data_option
@format_option("text", "json")
def export(
    run_path: Path,
    target: Path,
    rank: int | None,
    trial: int | None,
    force: bool,
    data_dir: Path | None,
    form: str,
    **asked: bool,
) -> None:
    """Write a network of RUN to the folder DIR: architecture, parameters, manifest, README.

    It is the best candidate, unless --rank or --trial names another, which may be a baseline.
    The options --onnx, --symbol and --torch add the network for other programs, with the
    normalization inside: it takes pixels from 0 to 255.
    """
    kinds = [kind for kind, is_asked in asked.items() if is_asked]
    from ..export import bundle, models
    from ..results.run import Run

    def add_models(new: Bundle) -> None:
        prepare_aloud(record.engine, None, "cpu")
        models.add_models(new, kinds, data_dir or config.request.data_dir, lines.append)

    lines: list[str] = []
    models.check_kinds(kinds)
    run = Run(run_path)
    config = run.config()
    record = bundle.choose(run, config, rank, trial, show_notice)
    if record.subject.is_baseline:  # its framework tells the graph
        prepare_aloud(record.engine, None, "cpu")
    bundle.export(run, config, record, target, force, add_models if kinds else None)
    if form == "json":
        subject = record.subject
        facts = {"trial": subject.trial, "name": subject.name, "val_accuracy": record.val_accuracy}
        click.echo(json.dumps({"path": str(target), **facts, "models": lines}))
        return
    subject = record.subject
    what = subject.label if subject.is_baseline else f"{subject.label}, {subject.name}"
    click.echo(f"{plain(target)}: {plain(what)}, validation accuracy {record.val_accuracy:.4f}")
    for line in lines:
        click.echo(f"{plain(target)}/{plain(line, limit=1000)}")


@click.command(cls=Command)
@click.argument("path", metavar="DIR", type=PATH)
@data_option
@format_option("text", "json")
@trained_engine_option
@device_options
def verify(
    path: Path, data_dir: Path | None, form: str, engine: str, device: str, threads: int | None
) -> None:
    """Reload the bundle DIR in a fresh process; fail unless its accuracy is reproduced.

    On another engine than the one that trained it, the scores of both must agree, too.
    """
    from ..export import bundle, verification
    from ..export.predictor import chosen_engine

    try:
        opened = bundle.open_bundle(path)
        bundle.check_models(opened)
    except bundle.DamagedError as error:
        if form == "json":
            click.echo(json.dumps({"path": str(path), "verified": False, "reason": str(error)}))
        else:
            click.echo(f"NOT the same: {plain(error, limit=1000)}")
        sys.exit(1)
    engine = chosen_engine(opened, engine, device)
    prepare_aloud(engine, threads, device)
    result = verification.verify(
        opened, engine, data_dir, device, lambda other: prepare_aloud(other, threads, "cpu")
    )
    if form == "json":
        facts = {"verified": result.holds, **dataclasses.asdict(result)}
        click.echo(json.dumps({"path": str(path), **facts}))
    else:
        click.echo(_sentence(path, result))
    if not result.holds:
        sys.exit(1)


def _sentence(path: Path, result: Verification) -> str:
    how = f"{result.images} images"
    if result.trained_in != FLOAT32:
        how += f"; trained in {plain(result.trained_in)}, evaluated in float32 then and now"
    if result.seen_in_training:
        how += "; seen in training"
    if result.scores:
        trained_by, apart = plain(result.trained_by), result.scores.difference
        if apart is None:
            how += f"; scores not compared with {trained_by}'s: {plain(result.scores.why_not)}"
        else:
            how += f"; scores differ from {trained_by}'s by at most {apart:.1e} of the largest"
    return (
        f"{plain(path)}: validation accuracy {result.measured:.6f} by {result.engine}, recorded "
        f"{result.recorded:.6f} ({how}): {'verified' if result.holds else 'NOT the same'}"
    )


@click.command(cls=Command)
@click.argument("path", metavar="DIR", type=PATH)
@click.option(
    "--split",
    type=OneOf(("validation", "test")),
    default="validation",
    show_default=True,
    help="`test` opens the sealed test set; each access is logged.",
)
@data_option
@format_option("text", "json")
@trained_engine_option
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
    from ..export.predictor import chosen_engine

    opened = open_bundle(path)
    engine = chosen_engine(opened, engine, device)
    prepare_aloud(engine, threads, device)
    result = evaluate_bundle(opened, load_engine(engine), split, data_dir, device)
    for notice in result.pop("notices"):
        show_notice(notice)
    if form == "json":
        click.echo(json.dumps({**result, "engine": engine}))
    else:
        seen = " seen in training" if result["seen_in_training"] else ""
        click.echo(
            f"{plain(path)}: {split} accuracy {result['accuracy']:.4f} by {engine} "
            f"({result['correct']} of {result['images']} images{seen}), loss {result['loss']:.4f}"
        )


@click.command(cls=Command)
@click.argument("path", metavar="DIR", type=PATH)
@click.argument("name")
@format_option("text", "json")
def register(path: Path, name: str, form: str) -> None:
    """Make the bundle DIR known to GluonCV's get_model as NAME."""
    from ..export import registration
    from ..export.bundle import open_bundle

    written = registration.register(open_bundle(path), name)
    if form == "json":
        click.echo(json.dumps({"name": name, "path": str(written)}))
    else:
        click.echo(plain(written))
