"""How far apart the engines are: outputs, gradients, steps of each optimizer, learning curves.

    python benchmarks/equality.py [--short]

Each figure is the median and the largest of several small networks on the digits, of all variants.
Differences are relative to the norm of what is compared; after steps, to the norm of the change
that training has made. What an engine differs from itself if its first values are rounded to about
six digits (`shaken`) shows how far rounding alone may lead. One thread computes.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from harness import options, write

os.environ["OMP_NUM_THREADS"] = "1"  # before the frameworks are imported
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.bundles import random_arrays
from helpers.equality import (
    ENGINES,
    OPTIMIZERS,
    after_steps_in_double,
    after_training,
    apart,
    between,
    curve,
    difference,
    in_training,
)

from nas_incep._params import write_params
from nas_incep.architecture import Architecture, Block
from nas_incep.datasets import Dataset, load
from nas_incep.engines import load_engine
from nas_incep.recipe import Recipe

STACKS = (
    (Block(2, 8, 6, 8, 4, 8, 8), Block(1, 8, 6, 4, 4, 4, 4)),
    (Block(1, 8, 8, 8, 8, 8, 8),),
)
SHAKEN = 1e-6


def networks(stacks: Any) -> Iterator[Architecture]:
    """All variants of each stack."""
    for blocks in stacks:
        for batch_norm, relu_output, same_shape in itertools.product((False, True), repeat=3):
            classes = blocks[-1].out_channels if same_shape else 10
            yield Architecture(blocks, batch_norm, relu_output, same_shape, classes, (1, 8, 8))


def summary(values: list[float]) -> dict[str, Any]:
    digits = [float(f"{value:.1e}") for value in (statistics.median(values), max(values))]
    return {"median": digits[0], "largest": digits[1], "n": len(values)}


def outputs_and_gradients(nets: list[Architecture]) -> Iterator[dict[str, Any]]:
    """With random values everywhere, on 24 images of noise."""
    found: dict[str, list[float]] = {}
    for network in nets:
        arrays = random_arrays(network)
        shape = (24, *network.input_shape)
        images = np.random.default_rng(0).standard_normal(shape)
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder) / "weights.params"
            write_params(weights, arrays)
            single = images.astype(np.float32)
            scores = [load_engine(e).forward(network, weights, "cpu")(single) for e in ENGINES]
        pairs = {"outputs in evaluation, float32": [{"": array} for array in scores]}
        for dtype in ("float32", "float64"):
            both = [in_training(e, network, arrays, images.astype(dtype)) for e in ENGINES]
            pairs[f"outputs in training, {dtype}"] = [{"": array} for array, _ in both]
            pairs[f"gradients, {dtype}"] = [gradients for _, gradients in both]
        for what, (one, other) in pairs.items():
            found.setdefault(what, []).append(difference(one, other))
    for what, values in found.items():
        yield {"what": what, "difference": summary(values)}


def steps(nets: list[Architecture], data: Dataset, optimizer: str) -> Iterator[dict[str, Any]]:
    """After 1 and 10 steps of an optimizer, in both precisions, and of one engine shaken."""
    for count in (1, 10):
        recipe = Recipe(
            epochs=1,
            batch_size=32,
            images_per_epoch=32 * count,
            initializer="xavier",
            schedule="constant",
            **OPTIMIZERS[optimizer],
        )
        found: dict[str, list[tuple[float, float]]] = {"float32": [], "float64": [], "shaken": []}
        for network in nets:
            found["float32"].append(after_training(network, data, recipe))
            found["float64"].append(after_training(network, data, recipe, in_double=True))
            start, end = after_steps_in_double("torch", network, data, recipe)
            _, other = after_steps_in_double("torch", network, data, recipe, SHAKEN)
            found["shaken"].append(apart(start, end, other))
        for how, values in found.items():
            parameters, running = map(list, zip(*values))
            row = {"what": "training", "optimizer": optimizer, "steps": count, "how": how}
            yield {**row, "parameters": summary(parameters), "statistics": summary(running)}


def curves(nets: list[Architecture], data: Dataset) -> Iterator[dict[str, Any]]:
    """Of the recipe `brief` with batches of 64: mean distances over three epochs."""
    recipe = Recipe(epochs=3, batch_size=64)
    found: dict[tuple[str, str], list[float]] = {}
    for network in nets:
        if network.classes != 10:
            continue
        made = {
            key: curve(key[0], network, data, recipe, key[1])
            for key in itertools.product(ENGINES, (1, 2))
        }
        pairs = {"engines": (("gluon", 1), ("torch", 1))}
        pairs |= {f"seeds of {e}": ((e, 1), (e, 2)) for e in ENGINES}
        for (what, (one, other)), field in itertools.product(
            pairs.items(), ("loss", "val_loss", "val_accuracy")
        ):
            found.setdefault((what, field), []).append(between(made[one], made[other], field))
    for (what, field), values in found.items():
        distance = {"mean": round(statistics.mean(values), 4), **summary(values)}
        yield {"what": "curves", "between": what, "field": field, "distance": distance}


def main() -> None:
    parser = options(__doc__, rounds=False)
    args = parser.parse_args()
    data = load("digits")
    nets = list(networks(STACKS[1:] if args.short else STACKS))
    if args.short:
        nets = nets[:2]
    rows = list(outputs_and_gradients(nets))
    for optimizer in list(OPTIMIZERS)[: 1 if args.short else None]:
        rows += steps(nets, data, optimizer)
    rows += curves(nets, data)
    write("equality", rows, 1, args.short)


if __name__ == "__main__":
    main()
