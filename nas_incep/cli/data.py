"""The command that lists, downloads and describes data sets."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._text import plain
from .choices import DatasetName
from .commands import Command
from .options import Integer, data_option, format_option, image_options

if TYPE_CHECKING:
    from ..datasets import ImageForm


@click.command(cls=Command)
@click.argument("dataset", type=DatasetName(), required=False)
@data_option
@click.option("--mirror", help="URL of a folder with the same archives, tried first.")
@image_options
@click.option("--validation-size", type=Integer(1), help="Images held out for ranking.")
@format_option("text", "json")
def data(
    dataset: str | None,
    data_dir: Path | None,
    mirror: str | None,
    image_size: int | None,
    channels: int | None,
    flip: bool,
    validation_size: int | None,
    form: str,
) -> None:
    """List the data sets, download DATASET, or describe your own at the path DATASET."""
    from .. import datasets
    from ..datasets.form import image_form

    if dataset is None:
        _list(form)
        return
    name = datasets.canonical_dataset(dataset)
    own = datasets.is_own(name)
    images = image_form(image_size, channels, flip)
    if not own:
        datasets.check_form(name, images)
    said = None if own else _fetched(name, data_dir, mirror)
    if said and form == "text":
        click.echo(said)
        return
    facts = _facts(name, data_dir, validation_size, images if own else None)
    if form == "json":
        click.echo(json.dumps(facts, indent=1))
    else:
        _print(facts)


def _list(form: str) -> None:
    from ..datasets import DATASETS

    if form == "json":
        click.echo(json.dumps({name: info.title for name, info in DATASETS.items()}, indent=1))
        return
    for name, info in DATASETS.items():
        shape = " x ".join(map(str, info.image_shape))
        click.echo(f"{name:14} {info.title}: {len(info.classes)} classes, {shape}")


def _fetched(name: str, data_dir: Path | None, mirror: str | None) -> str:
    """Makes sure that a known data set is there; a sentence about where."""
    from ..datasets import dataset_info
    from ..datasets.download import find_whole

    if not dataset_info(name).train_files:
        return f"{name}: comes with nas_incep, there is nothing to download"
    there = find_whole(name, data_dir)
    if there is None:
        return f"{name}: downloaded to {_download(name, data_dir, mirror)}"
    return f"{name}: already there, in {there}"


def _facts(
    name: str, data_dir: Path | None, validation_size: int | None, form: ImageForm | None
) -> dict[str, Any]:
    """A data set as a search uses it."""
    import numpy as np

    from ..datasets import count_test, load

    dataset = load(name, data_dir, validation_size, form=form)
    classes = dataset.info.classes
    parts = {"train": dataset.train, "validation": dataset.validation}
    counts = {
        part: np.bincount(images.labels, minlength=len(classes)).tolist()
        for part, images in parts.items()
    }
    return {
        "dataset": name,
        "image_shape": list(dataset.info.image_shape),
        "flip": dataset.info.flip,
        "train": len(dataset.train.labels),
        "validation": len(dataset.validation.labels),
        "test": count_test(name, data_dir),
        "classes": {
            text: {part: of[label] for part, of in counts.items()}
            for label, text in enumerate(classes)
        },
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "fingerprint": dataset.fingerprint,
        "notices": list(dataset.notices),
    }


def _print(facts: dict[str, Any]) -> None:
    for notice in facts["notices"]:
        click.echo(plain(notice, limit=1000), err=True)
    channels, height, width = facts["image_shape"]
    mirrored = ", also mirrored" if facts["flip"] else ""
    test = "no test part" if facts["test"] is None else f"{facts['test']:,} sealed for the test"
    lines = [
        f"{facts['dataset']}: {len(facts['classes'])} classes",
        f"images: {width}x{height}, {'gray' if channels == 1 else 'color'}{mirrored}",
        f"parts: {facts['train']:,} to train on, {facts['validation']:,} to rank by, {test}",
    ]
    for name, counts in facts["classes"].items():
        lines.append(f"  {plain(name, 60)}: {counts['train']:,} and {counts['validation']:,}")
    for key, meaning in (("mean", "mean"), ("std", "deviation")):
        lines.append(f"{meaning}: {', '.join(f'{value:.4f}' for value in facts[key])}")
    lines.append(f"fingerprint: {facts['fingerprint']}")
    for line in lines:
        click.echo(plain(line))


def _download(name: str, data_dir: Path | None, mirror: str | None) -> Path:
    """Download a data set with a progress bar, and return its folder."""
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    from ..datasets.download import download

    bar = Progress(
        *Progress.get_default_columns(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(name, total=None)
        return download(
            name,
            data_dir,
            mirror,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
