"""Does training in bfloat16 change the ranking?

    python benchmarks/precision.py --data-dir DIR [--networks N] [--images N] [--epochs N]

Random networks of the space nin_small on CIFAR-10, each trained with two seeds in float32, and with
the first of them in bfloat16. What bfloat16 changes is to be held against what a seed changes.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from pathlib import Path
from typing import Any

import optuna
from harness import write

from nas_incep._machine import cpu_threads
from nas_incep.architecture import Architecture
from nas_incep.datasets import load
from nas_incep.engines.gluon.tuning import tune
from nas_incep.errors import InputError
from nas_incep.recipe import Recipe
from nas_incep.spaces.reader import read_space
from nas_incep.spaces.space import over_limits

WAYS = {"float32": ("float32", 0), "other seed": ("float32", 1), "bfloat16": ("bfloat16", 0)}


def sample(count: int) -> list[Architecture]:
    """Different networks of the space within its limits."""
    space = read_space("nin_small")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found: dict[str, Architecture] = {}
    while len(found) < count:
        try:
            architecture = space.sample(study.ask(), 10, (3, 32, 32))
        except InputError:
            continue
        if not over_limits(space.limits, architecture):
            found[architecture.identity] = architecture
    return list(found.values())


def kendall(a: list[float], b: list[float]) -> float:
    """Kendall's tau-a: of all pairs, those in the same order less those in the other."""
    pairs = list(itertools.combinations(zip(a, b), 2))
    signs = [(x[0] - y[0]) * (x[1] - y[1]) for x, y in pairs]
    return (sum(s > 0 for s in signs) - sum(s < 0 for s in signs)) / len(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--networks", type=int, default=16, help="2 or more")
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tune(cpu_threads(), "cpu")
    from nas_incep.engines.gluon.networks import build_network
    from nas_incep.engines.gluon.runtime import mx
    from nas_incep.engines.gluon.training import Diverged, train

    dataset = load("cifar10", args.data_dir)
    recipe = Recipe(epochs=args.epochs, images_per_epoch=args.images)
    accuracies: dict[str, list[float]] = {way: [] for way in WAYS}
    rows: list[dict[str, Any]] = [{"fingerprint": dataset.fingerprint, **recipe.to_json()}]
    for architecture in sample(args.networks):
        row: dict[str, Any] = {
            "blocks": [list(block) for block in architecture.blocks],
            "batch_norm": architecture.batch_norm,
            "macs": architecture.macs,
        }
        for way, (precision, seed) in WAYS.items():
            network = build_network(architecture)
            try:
                curve = train(network, dataset, recipe, seed, mx.cpu(), precision=precision)
                accuracy = curve[-1].val_accuracy
            except Diverged:
                accuracy = 1 / len(dataset.info.classes)  # as good as drawing lots
            accuracies[way].append(accuracy)
            row[way] = accuracy
        print(row, flush=True)
        rows.append(row)
    base = accuracies["float32"]
    for way in ("other seed", "bfloat16"):
        differences = [b - a for a, b in zip(base, accuracies[way])]
        rows.append(
            {
                "float32 against": way,
                "networks": len(base),
                "kendall_tau": round(kendall(base, accuracies[way]), 3),
                "mean_difference": round(statistics.mean(differences), 4),
                "median_absolute_difference": round(statistics.median(map(abs, differences)), 4),
            }
        )
    write("precision", rows)


if __name__ == "__main__":
    main()
