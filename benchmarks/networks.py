"""The networks and images of the speed benchmarks, and how much of them is one block of work."""

from __future__ import annotations

import argparse

import numpy as np

from nas_incep.architecture import NOTEBOOK, Architecture
from nas_incep.datasets import Dataset, Images, dataset_info
from nas_incep.datasets.dataset import channel_statistics

BATCH = 128

_SMALL8 = ((1, 8, 8, 8, 8, 8, 8), (1, 32, 32, 32, 8, 16, 16), (1, 64, 32, 96, 16, 32, 32))
# Multiples of 16 throughout; a 5x5 convolution from 16 to 16 maps of 32x32 alone has 6.6 million.
_SMALL16 = ((1, 16, 16, 16, 16, 16, 16), (1, 32, 16, 32, 16, 16, 16), (1, 32, 16, 32, 16, 16, 32))

NETWORKS = {
    "notebook": NOTEBOOK,  # 528 million MACs
    "small8": Architecture(_SMALL8),  # 10 million
    "small8 BN": Architecture(_SMALL8, batch_norm=True),
    "small16": Architecture(_SMALL16),  # 15 million
    "small16 BN": Architecture(_SMALL16, batch_norm=True),
}
SHORT = ("notebook", "small8")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--network", help="these only, separated by commas")
    parser.add_argument("--batches", type=int, help=f"of {BATCH} images in each block of work")


def chosen(args: argparse.Namespace) -> dict[str, int]:
    """The networks to measure, with the batches of one block of work for each."""
    names = args.network.split(",") if args.network else list(SHORT if args.short else NETWORKS)
    return {name: args.batches or _batches(name, args.short) for name in names}


def _batches(name: str, short: bool) -> int:
    # One of the notebook's steps takes as long as some twenty of the small ones'.
    if name == "notebook":
        return 1 if short else 2
    return 8 if short else 12


def synthetic(count: int) -> Dataset:
    """Random pixels of CIFAR-10's shape: `count` training images. Their speed is that of any."""
    info = dataset_info("cifar10")
    rng = np.random.Generator(np.random.PCG64(0))
    images = rng.integers(0, 256, size=(count, *info.image_shape), dtype=np.uint8)
    labels = rng.integers(0, len(info.classes), size=count, dtype=np.int32)
    mean, std = channel_statistics(images)
    return Dataset(
        info=info,
        train=Images(images, labels),
        validation=Images(images[:BATCH], labels[:BATCH]),
        fingerprint="synthetic",
        official=None,
        mean=mean,
        std=std,
        notices=(),
    )
