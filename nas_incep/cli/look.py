"""Commands that show architectures and search spaces."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._files import picture_format
from .._text import plain
from ..engines import load_engine, settled
from ..errors import InputError
from .choices import DatasetName, SpaceName
from .commands import Command
from .options import (
    PATH,
    Integer,
    choice_options,
    data_option,
    device_options,
    engine_option,
    format_option,
    prepare_aloud,
    print_table,
    show_notice,
)

if TYPE_CHECKING:
    from ..architecture import Architecture
    from ..datasets import Dataset
    from ..spaces.space import SearchSpace


@click.command(cls=Command)
@click.argument("architecture", metavar="FILE|JSON|RUN")
@choice_options
@format_option("table", "json")
def describe(architecture: str, rank: int | None, trial: int | None, form: str) -> None:
    """Print an architecture block by block: a file, inline JSON, a bundle, or `notebook`.

    Of a RUN, the best candidate's, or that of --rank or --trial.
    """
    from ..architecture import read_architecture, stages

    if rank is not None or trial is not None or os.path.lexists(f"{architecture}/run.json"):
        arch = _candidate(Path(architecture), rank, trial)
    elif os.path.lexists(f"{architecture}/network.json"):
        from ..export.bundle import open_bundle

        name = open_bundle(Path(architecture)).manifest.identity
        raise InputError(f"{architecture}: baseline {name} has no blocks to describe")
    else:
        arch = read_architecture(architecture)
    if form == "json":
        steps = [stage.to_json() for stage in stages(arch)]
        value = {"identity": arch.identity, "parameters": arch.parameters, "macs": arch.macs}
        click.echo(json.dumps({**value, "architecture": arch.to_json(), "stages": steps}, indent=1))
    else:
        print_table(_description(arch))


def _candidate(path: Path, rank: int | None, trial: int | None) -> Architecture:
    """The architecture of a candidate of a run. Raises InputError if a baseline is chosen."""
    from ..export.bundle import find
    from ..results.run import Run

    run = Run(path)
    subject = find(run, run.config(), rank, trial, show_notice).subject
    if subject.architecture is None:
        raise InputError(f"{path}: {subject.label} has no blocks to describe")
    return subject.architecture


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
    from ..datasets import canonical_dataset, dataset_info, is_own, load
    from ..spaces import counting

    name = canonical_dataset(dataset or space.dataset or "cifar10")
    info = load(name).info if is_own(name) else dataset_info(name)
    images = len(info.classes), info.image_shape
    costs, size = counting.cost_range(space, *images), counting.count(space, *images)
    facts = {"name": space.name, "description": space.description, "size": size}
    training = dataclasses.asdict(space.training)
    return {**facts, "dataset": info.name, **costs, "limits": space.limits, "training": training}


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
@engine_option
@device_options
def probe(
    architecture: str,
    dataset: str,
    data_dir: Path | None,
    images: int,
    picture: Path | None,
    seed: int,
    form: str,
    engine: str,
    device: str,
    threads: int | None,
) -> None:
    """Show the spread of activations and gradients at initialization, for each initializer."""
    engine, notices = settled(engine, device)
    prepare_aloud(engine, threads, device)
    from .. import datasets
    from ..architecture import read_architecture
    from ..datasets.batches import normalization
    from ..engines import initialization, initialization_picture

    if picture:
        picture_format(picture)
    chosen, loaded = load_engine(engine), datasets.load(dataset, data_dir)
    fitted, place = _fitted(read_architecture(architecture), loaded), chosen.resolve(device)
    for notice in notices:
        show_notice(notice)
    spreads = initialization.measure_all(
        chosen,
        fitted,
        normalization(loaded)(loaded.train.images[:images]),
        loaded.train.labels[:images],
        seed,
        place,
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
