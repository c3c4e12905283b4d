"""Writing the folder of a bundle: all its files or none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._files import copy_regular, naming, sha256, write_json
from .._params import NAMES_AND_SHAPES, read_params, write_params
from ..architecture import Architecture, stages
from ..errors import InputError
from ..zoo_network import AnyNetwork
from .manifest import ARCHITECTURE, MANIFEST, NETWORK, WEIGHTS

# Every evaluation on the sealed test part is logged in this file, which a later export keeps.
TEST_LOG = "test_evaluations.jsonl"


def check_target(target: Path, force: bool) -> None:
    """Raises InputError if something is there that a bundle may not replace."""
    if target.exists() and not force:
        raise InputError(f"{target}: exists; --force replaces a bundle there")
    if target.exists() and not (target / MANIFEST).exists():
        raise InputError(f"{target}: exists and is not a bundle, so it is not replaced")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """An empty folder for the files of a bundle, which is `target` if the block raises nothing.

    The log of a bundle that was there is kept.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        naming(target),
        tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder,
    ):
        new, old = Path(folder) / "new", Path(folder) / "old"
        new.mkdir()
        try:
            yield new
        except InputError as error:  # users know the folder by its final name only
            raise InputError(str(error).replace(str(new), str(target))) from None
        if target.exists():
            if os.path.lexists(target / TEST_LOG):
                copy_regular(target / TEST_LOG, new / TEST_LOG)
            os.replace(target, old)
        try:
            os.replace(new, target)
        except OSError:
            if old.exists():
                os.replace(old, target)
            raise


def write_network(new: Path, network: AnyNetwork, weights: Path) -> dict[str, str]:
    """Writes a network's description and parameters to a folder; their SHA-256 sums by name."""
    limit = largest_weights(network)
    if isinstance(network, Architecture):
        description = ARCHITECTURE
        copy_regular(weights, new / WEIGHTS, limit)
    else:
        description = NETWORK
        # MXNet's engine has a baseline behind a resize as a part of another block.
        arrays = read_params(weights, limit)
        write_params(new / WEIGHTS, {n.removeprefix("network."): a for n, a in arrays.items()})
    write_json(new / description, network.to_json())
    return {name: sha256(new / name) for name in (description, WEIGHTS)}


def largest_weights(network: AnyNetwork) -> int:
    """An upper bound for the bytes of a network's parameters in MXNet's format.

    There are never more running statistics than trainable parameters, and a stage has at most about
    thirty arrays, whose names and shapes take less than 2 kB each.
    """
    if isinstance(network, Architecture):
        return 2 * 4 * network.parameters + (1 << 16) * len(stages(network))
    return 2 * 4 * network.parameters + NAMES_AND_SHAPES
