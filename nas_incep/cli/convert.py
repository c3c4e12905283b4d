"""The command that writes a network of MXNet as files for where MXNet is not installed."""

from __future__ import annotations

import os
from pathlib import Path

import click

from .._text import plain
from ..errors import InputError
from .commands import Command
from .options import PATH, prepare_aloud


@click.command(cls=Command)
@click.argument("source", metavar="NAME|BUNDLE|MODULE:FUNCTION")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--name", help="Name of the network in DIR; default: its own, or the bundle's.")
@click.option("--pretrained", is_flag=True, help="With the parameters that the zoo publishes.")
@click.option(
    "--dataset", help="Data set whose images and classes the parameters fit; default: cifar10."
)
@click.option("--force", is_flag=True, help="Replace a network of that name in DIR.")
def convert(
    source: str, folder: Path, name: str | None, pretrained: bool, dataset: str | None, force: bool
) -> None:
    """Write a model zoo's network NAME (or NAME@SIZE), or that of a BUNDLE, to DIR.

    It becomes NAME-symbol.json and NAME-0000.params, for MXNet and for `search --baseline
    DIR/NAME`, which on PyTorch needs no MXNet. MODULE:FUNCTION is a network of your own. Without
    --pretrained the network has initial values. Needs MXNet.
    """
    bundle = Path(source) if Path(source).is_dir() else None
    if dataset and (bundle or pretrained):
        what = "--pretrained" if pretrained else f"{source} is a bundle"
        raise InputError(f"--dataset {dataset}: {what}: its parameters have their own classes")
    if bundle and pretrained:
        raise InputError(f"--pretrained: {source} is a bundle, which has its own parameters")
    from ..engines.specs import PARAMS, SYMBOL

    chosen = _name(source, name, bundle)
    files = [folder / f"{chosen}{ending}" for ending in (SYMBOL, PARAMS)]
    for file in files:
        if os.path.lexists(file) and not force:
            raise InputError(f"{file}: exists; --force replaces it")
    prepare_aloud("gluon", None, "cpu")
    _write(source, bundle, pretrained, dataset, folder / chosen)
    click.echo(
        f"{plain(files[0])} and {plain(files[1].name)}; as a baseline: "
        f"--baseline {plain(folder / chosen)}"
    )


def _name(source: str, name: str | None, bundle: Path | None) -> str:
    """The name of the files. Raises InputError if no baseline can be named so."""
    from ..engines.specs import canonical_baseline, import_path, parse_baseline

    own = None if bundle else import_path(source)
    strange = ":" in (own.rest if own else source) or "/" in source
    if bundle is None and strange:
        raise InputError(
            f"{source}: the folder of a bundle, NAME, NAME@SIZE or MODULE:FUNCTION is expected"
        )
    zoo = "" if bundle or own else canonical_baseline(source).partition("@")[0]
    default = bundle.resolve().name if bundle else own.name if own else zoo
    chosen = (name or default).lower()
    try:
        sound = "@" not in chosen and ":" not in chosen and parse_baseline(f"./{chosen}")[0]
    except InputError:
        sound = ""
    if sound != chosen or chosen.startswith("."):
        raise InputError(
            f"--name {chosen}: lower-case letters, digits, '_' and '.' are expected, "
            "no '.' at the beginning"
        )
    return chosen


def _write(
    source: str, bundle: Path | None, pretrained: bool, dataset: str | None, path: Path
) -> None:
    from ..datasets import dataset_info
    from ..engines.gluon import conversion
    from ..engines.specs import import_path

    own = None if bundle else import_path(source)
    if own and pretrained:
        raise InputError(f"--pretrained: {source} is a function, whose network no zoo publishes")
    if bundle:
        from ..export.bundle import open_bundle

        opened = open_bundle(bundle)
        conversion.convert_weights(opened.network, opened.weights_path, path)
    elif pretrained:
        conversion.convert_pretrained(source, path)
    elif own:
        conversion.convert_own(own, dataset_info(dataset or "cifar10"), path)
    else:
        conversion.convert_initial(source, dataset_info(dataset or "cifar10"), path)
