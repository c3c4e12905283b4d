"""The command that predicts the classes of images."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._text import plain
from ..errors import InputError
from .commands import Command
from .options import PATH, Integer, device_options, format_option, prepare_aloud

if TYPE_CHECKING:
    from ..export.predictor import Prediction, Predictor


@click.command(cls=Command)
@click.argument("path", metavar="DIR", type=PATH)
@click.argument("images", metavar="IMAGE...", type=PATH, nargs=-1, required=True)
@click.option("--top", type=Integer(1), default=3, show_default=True, help="Classes for an image.")
@format_option("text", "json")
@click.option(
    "--engine",
    default="auto",
    show_default=True,
    help="gluon, torch, onnx (ONNX Runtime), or auto: the framework that trained the network.",
)
@device_options
def predict(
    path: Path,
    images: tuple[Path, ...],
    top: int,
    form: str,
    engine: str,
    device: str,
    threads: int | None,
) -> None:
    """Classify images, files or folders of them, with the network of the bundle DIR.

    An image that cannot be read is told and passed over; the exit status is then 2.
    """
    from ..export.bundle import open_bundle
    from ..export.images import files_of
    from ..export.predictor import predicting_engine, predictor_of

    bundle = open_bundle(path)
    files = files_of(images)
    engine = predicting_engine(bundle, engine, device)
    prepare_aloud(engine, threads, device)
    predictor = predictor_of(bundle, engine, device)
    unread: list[str] = []
    found = _predictions(predictor, files, top, unread)
    if form == "json":
        rows = [{"image": str(file), "classes": _rows(prediction)} for file, prediction in found]
        click.echo(json.dumps(rows, indent=1))
    else:
        for file, prediction in found:
            named = ", ".join(f"{plain(name)} {part:.4f}" for name, part in prediction)
            click.echo(f"{plain(file)}: {named}")
    for message in unread:
        click.echo(f"nas-incep: {plain(message, limit=1000)}", err=True)
    if unread:
        sys.exit(2)


def _predictions(
    predictor: Predictor, files: Sequence[Path], top: int, unread: list[str]
) -> Iterator[tuple[Path, Prediction]]:
    """Each readable image with its prediction; the messages about the others go to `unread`."""
    import numpy as np

    from ..export.predictor import BATCH

    remaining = iter(files)
    while batch := list(islice(remaining, BATCH)):
        pixels: dict[int, Any] = {}
        for index, file in enumerate(batch):
            try:
                pixels[index] = predictor.pixels(file)
            except InputError as error:
                unread.append(str(error))
        if pixels:
            predictions = predictor.predict(np.stack(list(pixels.values())), top)
            yield from ((batch[index], found) for index, found in zip(pixels, predictions))


def _rows(prediction: Prediction) -> list[dict[str, Any]]:
    return [{"class": name, "probability": part} for name, part in prediction]
