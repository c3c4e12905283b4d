"""Do the networks of a shipped space differ by more than seeds do, at the space's own budget?

    python benchmarks/spread.py quick digits
    python benchmarks/spread.py nin_cifar cifar10 --data-dir DIR [--images 5120] [--networks 12]
    python benchmarks/spread.py quick digits --report

Random networks within the space's limits are trained by its own recipe with two seeds each. The
deviation over networks is that of their true accuracies: that of their means, less what the noise
between seeds adds to it. Trainings that are in the results already are not repeated.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from harness import RESULTS, conditions

from nas_incep.architecture import Architecture
from nas_incep.datasets import DatasetInfo, load
from nas_incep.engines.base import Job
from nas_incep.engines.gluon.tuning import tune
from nas_incep.errors import InputError
from nas_incep.recipe import get_recipe
from nas_incep.records import CANDIDATE, Subject
from nas_incep.results.agreement import kendall
from nas_incep.spaces.reader import read_space
from nas_incep.spaces.space import SearchSpace, over_limits

SEEDS = (0, 1)


def drawn(space: SearchSpace, info: DatasetInfo, count: int) -> list[Architecture]:
    """Different random networks within the limits."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found: dict[str, Architecture] = {}
    while len(found) < count:
        try:
            network = space.sample(study.ask(), len(info.classes), info.image_shape)
        except InputError:
            continue
        if not over_limits(space.limits, network):
            found[network.identity] = network
    return list(found.values())


def report(rows: list[dict[str, Any]]) -> None:
    """Prints the deviations, in points, and how well one seed ranks the other's networks."""
    by_network: dict[str, list[float]] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        by_network.setdefault(row["network"], []).append(100 * row["accuracy"])
    accuracies = np.array([own for own in by_network.values() if len(own) == len(SEEDS)])
    within = accuracies.var(axis=1, ddof=1).mean()
    over = max(0.0, accuracies.mean(axis=1).var(ddof=1) - within / len(SEEDS)) ** 0.5
    pairs = 1 - np.eye(len(accuracies))
    tau = kendall(accuracies[:, 0], accuracies[:, 1], pairs)
    macs = [row["macs"] for row in rows]
    print(
        f"{rows[0]['space']} on {rows[0]['data']}: {len(accuracies)} networks of "
        f"{min(macs):,} to {max(macs):,} MACs, accuracies {accuracies.min():.1f} to "
        f"{accuracies.max():.1f}; {over:.2f} points over networks, {within**0.5:.2f} over seeds, "
        f"ratio {over / within**0.5:.1f}; tau of one seed with the other {tau:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("space")
    parser.add_argument("data")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--networks", type=int, default=16)
    parser.add_argument("--images", type=int, help="for each epoch; default: the space's")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report", action="store_true", help="only print what was measured")
    args = parser.parse_args()
    path = RESULTS / "spread.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [row for row in map(json.loads, lines) if row["space"] == args.space]
    if not args.report:
        rows += measure(args, path, {(row["network"], row["seed"]) for row in rows})
    report(rows)


def measure(args: argparse.Namespace, path: Path, done: set[Any]) -> list[dict[str, Any]]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tune(args.threads, "cpu")
    from nas_incep.engines import load_engine

    engine, dataset, space = (
        load_engine("gluon"),
        load(args.data, args.data_dir),
        read_space(args.space),
    )
    asked = space.training
    recipe = get_recipe(asked.recipe, **asked.changes)
    if args.images:
        recipe = dataclasses.replace(recipe, images_per_epoch=args.images)
    found = []
    for network in drawn(space, dataset.info, args.networks):
        for seed in SEEDS:
            if (network.identity, seed) in done:
                continue
            subject = Subject(CANDIDATE, 0, network.identity, seed, network)
            with tempfile.TemporaryDirectory() as folder:
                job = Job(subject, dataset, recipe, "cpu", "float32", Path(folder) / "c")
                with engine.start(job) as training:
                    *_, last = training.epochs(lambda images: False)
            found.append(
                {
                    "space": args.space,
                    "data": args.data,
                    "network": network.identity,
                    "batch_norm": network.batch_norm,
                    "macs": network.macs,
                    "seed": seed,
                    "accuracy": last.val_accuracy,
                    "epochs": recipe.epochs,
                    "images": last.images,
                    **conditions(args.threads),
                }
            )
            with path.open("a") as file:
                file.write(json.dumps(found[-1]) + "\n")
            print(network.identity, seed, last.val_accuracy, flush=True)
    return found


if __name__ == "__main__":
    main()
