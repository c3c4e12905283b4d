"""The command that trains one network again, for longer, and exports it."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._machine import FLOAT32, PRECISIONS
from .._text import counted, plain
from ..engines import load_engine, settled
from ..recipe import OPTIMIZERS, RECIPES, get_recipe
from .choices import OneOf
from .commands import Command
from .options import (
    PATH,
    Integer,
    Real,
    choice_options,
    data_option,
    device_options,
    display_options,
    format_option,
    prepare_aloud,
    trained_engine_option,
)

if TYPE_CHECKING:
    from ..export.manifest import Manifest
    from ..recipe import Recipe


@click.command(cls=Command)
@click.argument("source", metavar="RUN_OR_BUNDLE", type=PATH)
@click.argument("target", metavar="DIR", type=PATH)
@click.option(
    "--epochs",
    "--num-epochs",
    "epochs",
    type=Integer(1),
    required=True,
    help="Epochs of each training.",
)
@choice_options
@click.option(
    "--start",
    type=OneOf(("scratch", "parameters")),
    default="scratch",
    show_default=True,
    help="From fresh initial values, or from the parameters that RUN_OR_BUNDLE has.",
)
@click.option(
    "--train-on",
    type=OneOf(("train", "train+validation")),
    default="train",
    show_default=True,
    help="With both parts nothing is left to measure an accuracy on but the test set.",
)
@click.option("--seeds", type=Integer(1), default=1, show_default=True, help="Trainings.")
@click.option(
    "--recipe",
    type=OneOf(tuple(RECIPES)),
    help="Preset; default: the recipe that the network was trained with.",
)
@click.option("--images-per-epoch", type=Integer(1), help="Images in an epoch, in whole batches.")
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
    "--precision",
    "--dtype",
    "precision",
    type=OneOf(PRECISIONS),
    default=FLOAT32,
    show_default=True,
)
@click.option(
    "--deterministic",
    is_flag=True,
    help="Equal retrainings have equal figures on a GPU, too, where that makes them slower.",
)
@click.option(
    "--report-test",
    is_flag=True,
    help="Evaluate the exported network on the sealed test set; the access is logged.",
)
@click.option("--force", is_flag=True, help="Replace an existing bundle.")
@data_option
@format_option("text", "json")
@trained_engine_option
@device_options
@display_options
def retrain(
    source: Path, target: Path, form: str, quiet: bool, verbose: bool, **options: Any
) -> None:
    """Train a network of RUN_OR_BUNDLE again with fresh seeds, and export it to DIR.

    If it is stopped, the same command goes on.
    """
    from ..search.display import make_display

    with make_display(quiet, verbose) as display:
        try:
            manifest, test = _retrained(source, target, display, **options)
        except KeyboardInterrupt:
            display.say(f"{target}: stopped; finished epochs are kept; the same command goes on")
            sys.exit(130)
    if form == "json":
        found = dataclasses.asdict(manifest)
        parts = ("identity", "data", "accuracy", "recipe", "engine", "retraining")
        said = {"path": str(target), **{part: found[part] for part in parts}, "test": test}
        click.echo(json.dumps(said))
        return
    for line in _lines(target, manifest, test):
        click.echo(plain(line, limit=1000))


def _retrained(
    source: Path,
    target: Path,
    display: Any,
    *,
    rank: int | None,
    trial: int | None,
    start: str,
    train_on: str,
    seeds: int,
    recipe: str | None,
    precision: str,
    deterministic: bool,
    report_test: bool,
    force: bool,
    data_dir: Path | None,
    engine: str,
    device: str,
    threads: int | None,
    **changes: Any,
) -> tuple[Manifest, dict[str, Any] | None]:
    """The manifest of the new bundle, and its result on the test set if that was asked for."""
    from ..export.bundle import open_bundle
    from ..export.evaluation import evaluate_bundle, load_recorded
    from ..export.original import original_of
    from ..export.retraining import Retrainer, request_of
    from ..export.writing import check_target

    check_target(target, force)
    original = original_of(source, rank, trial, display.say)
    wanted = _recipe(original.recipe, recipe, changes)
    name, notices = settled(engine, device, original.engine)
    prepare_aloud(name, threads, device, deterministic)
    loaded = load_engine(name)
    place = loaded.resolve(device)
    data_dir = data_dir or original.data_dir
    dataset = load_recorded(original.data, original.form, data_dir, original.path)
    for notice in (*notices, *dataset.notices):
        display.say(notice)
    request = request_of(original, wanted, name, train_on, precision, deterministic, start)
    manifest = Retrainer(original, request, dataset, loaded, place, display).retrain(
        seeds, target, force
    )
    if not report_test:
        return manifest, None
    test = evaluate_bundle(open_bundle(target), loaded, "test", data_dir, device)
    for notice in test.pop("notices"):
        display.say(notice)
    return manifest, test


def _recipe(own: Recipe, preset: str | None, changes: dict[str, Any]) -> Recipe:
    """The network's own recipe or a preset, with the options that are given."""
    fields = {"lr": "learning_rate", "wd": "weight_decay"}
    given = {fields.get(key, key): value for key, value in changes.items() if value is not None}
    return get_recipe(preset, **given) if preset else dataclasses.replace(own, **given)


def _lines(target: Path, manifest: Manifest, test: dict[str, Any] | None) -> list[str]:
    """What is printed about a retraining."""
    accuracy, found = manifest.accuracy, manifest.retraining
    assert found is not None
    what = "validation accuracy"
    if accuracy.validation_seen_in_training:
        what += " (images seen in training)"
    lines = [
        f"seed {number}: {what} {result.validation:.4f}"
        for number, result in enumerate(found.seeds, 1)
    ]
    if found.deviation is not None:
        lines.append(
            f"{len(found.seeds)} seeds: mean {found.mean:.4f}, deviation {found.deviation:.4f}"
        )
    epochs = counted(accuracy.epochs, "epoch")
    if found.started_from:
        epochs += f" after {found.started_from.epochs}"
    lines.append(
        f"{target}: {manifest.identity}, {epochs} on {manifest.data.trained_on}, "
        "with the parameters of seed 1"
    )
    if test:
        lines.append(
            f"test accuracy {test['accuracy']:.4f} ({test['correct']} of {test['images']} images) "
            "of seed 1"
        )
    return lines
