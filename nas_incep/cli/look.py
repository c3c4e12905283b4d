"""Commands that show architectures, search spaces and data sets."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._text import plain
from .choices import DatasetName, SpaceName
from .commands import Command
from .options import (
    PATH,
    Integer,
    data_option,
    device_options,
    format_option,
    prepare_aloud,
    print_table,
)

if TYPE_CHECKING:
    from ..architecture import Architecture
    from ..datasets import Dataset
    from ..datasets.registry import DatasetInfo
    from ..spaces.space import SearchSpace


@click.command(cls=Command)
@click.argument("architecture", metavar="FILE|JSON")
@format_option("table", "json")
def describe(architecture: str, form: str) -> None:
    """Print an architecture block by block: a file, inline JSON, a bundle, or `notebook`."""
    from ..architecture import read_architecture, stages

    arch = read_architecture(architecture)
    if form == "json":
        steps = [stage.to_json() for stage in stages(arch)]
        value = {"identity": arch.identity, "parameters": arch.parameters, "macs": arch.macs}
        click.echo(json.dumps({**value, "architecture": arch.to_json(), "stages": steps}, indent=1))
    else:
        print_table(_description(arch))


def _description(arch: Architecture) -> Any:
    from rich.table import Table

    from ..architecture import stages

    table = Table(title=f"architecture {arch.identity}", title_justify="left", show_footer=True)
    table.add_column("step", "total")
    table.add_column("operation")
    table.add_column("output shape")
    table.add_column("parameters", f"{arch.parameters:,}", justify="right")
    table.add_column("MACs", f"{arch.macs:,}", justify="right")
    for stage in stages(arch):
        what = stage.what
        if stage.name.endswith("unit 0"):
            what += f" {list(arch.blocks[int(stage.name.split()[1])])}"
        shape = " x ".join(map(str, stage.out_shape))
        table.add_row(stage.name, what, shape, f"{stage.parameters:,}", f"{stage.macs:,}")
    return table


@click.command(cls=Command)
@click.argument("space", type=SpaceName(), required=False)
@click.option("--dataset", type=DatasetName(), help="Data set whose images the costs are for.")
@format_option("table", "json")
def spaces(space: str | None, dataset: str | None, form: str) -> None:
    """List the shipped search spaces, or print SPACE with its size and costs."""
    from ..spaces.reader import read_space, shipped_spaces

    if space is None:
        listing = {name: read_space(name).description for name in shipped_spaces()}
        if form == "json":
            click.echo(json.dumps(listing, indent=1))
        else:
            for name, description in listing.items():
                click.echo(f"{name:12} {description}")
        return
    chosen = read_space(space)
    facts = _space_facts(chosen, dataset)
    if form == "json":
        click.echo(json.dumps(facts, indent=1))
    else:
        for line in chosen.text.rstrip().split("\n"):
            click.echo(plain(line.replace("\t", " " * 4), limit=2000))
        click.echo()
        click.echo(
            f"distinct architectures for {facts['dataset']}, without limits: {facts['size']:,}"
        )
        for what in ("parameters", "macs"):
            low, high = facts[what]
            click.echo(f"{what} for {facts['dataset']}, without limits: {low:,} to {high:,}")
        for key, limit in chosen.limits.items():
            click.echo(f"limit {key}: {limit:,}")


def _space_facts(space: SearchSpace, dataset: str | None) -> dict[str, Any]:
    from ..datasets import dataset_info
    from ..spaces import counting

    info = dataset_info(dataset or space.dataset or "cifar10")
    images = len(info.classes), info.image_shape
    costs, size = counting.cost_range(space, *images), counting.count(space, *images)
    facts = {"name": space.name, "description": space.description, "size": size}
    training = dataclasses.asdict(space.training)
    return {**facts, "dataset": info.name, **costs, "limits": space.limits, "training": training}


@click.command(cls=Command)
@click.argument("dataset", type=DatasetName(), required=False)
@data_option
@click.option("--mirror", help="URL of a folder with the same archives, tried first.")
@format_option("text", "json")
def data(dataset: str | None, data_dir: Path | None, mirror: str | None, form: str) -> None:
    """List the data sets, or download DATASET."""
    from ..datasets import DATASETS, dataset_info

    if dataset is None:
        _list_datasets(list(DATASETS.values()), form)
        return
    info = dataset_info(dataset)
    folder = None
    if not info.train_files:
        said = "comes with scikit-learn, there is nothing to download"
    else:
        from ..datasets.download import find_whole

        there = find_whole(info.name, data_dir)
        folder = there or _download(info.name, data_dir, mirror)
        said = f"already there, in {folder}" if there else f"downloaded to {folder}"
    if form == "json":
        click.echo(json.dumps({"name": info.name, "folder": str(folder) if folder else None}))
    else:
        click.echo(f"{info.name}: {said}")


def _list_datasets(infos: list[DatasetInfo], form: str) -> None:
    if form == "json":
        facts = [
            {"name": i.name, "title": i.title, "classes": i.classes, "image_shape": i.image_shape}
            for i in infos
        ]
        click.echo(json.dumps(facts, indent=1))
        return
    for info in infos:
        shape = " x ".join(map(str, info.image_shape))
        click.echo(f"{info.name:14} {info.title}: {len(info.classes)} classes, {shape}")


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


@click.command(cls=Command)
@click.argument("architecture", metavar="FILE|JSON")
@click.option(
    "--dataset",
    type=DatasetName(),
    default="digits",
    show_default=True,
    help="Data set to take images of.",
)
@data_option
@click.option("--images", type=Integer(2), default=128, show_default=True)
@click.option("--picture", type=PATH, help="Draw to this file: .png, .svg or .pdf.")
@click.option("--seed", type=Integer(0), default=0, show_default=True)
@format_option("table", "json")
@device_options
def probe(
    architecture: str,
    dataset: str,
    data_dir: Path | None,
    images: int,
    picture: Path | None,
    seed: int,
    form: str,
    device: str,
    threads: int | None,
) -> None:
    """Show the spread of activations and gradients at initialization, for each initializer."""
    prepare_aloud("gluon", threads, device)
    from .. import datasets
    from ..architecture import read_architecture
    from ..datasets.batches import normalization
    from ..engines.gluon import initialization, initialization_picture
    from ..engines.gluon.runtime import resolve_device

    if picture:
        initialization_picture.picture_format(picture)
    loaded = datasets.load(dataset, data_dir)
    spreads = initialization.measure_all(
        _fitted(read_architecture(architecture), loaded),
        normalization(loaded)(loaded.train.images[:images]),
        loaded.train.labels[:images],
        seed,
        resolve_device(device),
    )
    if picture:
        initialization_picture.draw(spreads, picture)
    if form == "json":
        click.echo(json.dumps(initialization.to_json(spreads), indent=1))
    else:
        print_table(initialization.to_table(spreads))


def _fitted(architecture: Architecture, dataset: Dataset) -> Architecture:
    """The same blocks, adapted to the images and classes of a data set."""
    info = dataset.info
    return dataclasses.replace(
        architecture, classes=len(info.classes), input_shape=info.image_shape
    )
