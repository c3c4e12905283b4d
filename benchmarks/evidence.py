"""What a brief ranking is worth, and what helps it: figures from the table that the project ships.

    python benchmarks/evidence.py [TABLE.json.xz [BRIEF.json.xz]]

Prints, for docs/evidence.md, how much of the spread is networks and how much seeds; how well scores
that cost less than a whole training agree with whole trainings by another seed; and how many image
passes a search needs that screens networks briefly and trains the best of them.

A score and the accuracy that it is held against never come from the same seed. Intervals come from
resampling networks. benchmarks/pack_table.py makes the tables.
"""

from __future__ import annotations

import argparse
import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness import write

from nas_incep.engines.table.table import Network, Table, read_table
from nas_incep.results.fidelity import kendall

TABLES = Path(__file__).parent / "tables"
TABLE = TABLES / "nin_small_cifar10.json.xz"
BRIEF = TABLES / "nin_small_cifar10_brief.json.xz"
RESAMPLES = 1000
REPEATS = 20_000  # of a simulated screening
TOP = 0.05  # a network is good if it is one of this share

Curves = Sequence[Sequence[Any]]
Score = Callable[[Network, int], float]  # of a network's training by one of its seeds


def candidates(table: Table) -> dict[str, Network]:
    return {name: each for name, each in table.networks.items() if each.architecture}


def accuracy(network: Network, seed: int, epoch: int = 0) -> float:
    """After an epoch, counted from 1; the last by default."""
    return network.curves[seed][epoch - 1].val_accuracy


def interval(estimate: Callable[[np.ndarray], float], count: int) -> tuple[float, float, float]:
    """An estimate over all networks, and its 95 % interval by resampling them."""
    random = np.random.Generator(np.random.PCG64(0))
    drawn = [estimate(random.integers(count, size=count)) for _ in range(RESAMPLES)]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return estimate(np.arange(count)), float(low), float(high)


# 1. How much of the spread is networks, and how much seeds


def spread(networks: Sequence[Network], epoch: int) -> dict[str, float]:
    """Deviations in points: between seeds, pooled, and of the networks' true accuracies."""
    groups = [
        np.array([100 * accuracy(each, seed, epoch) for seed in range(len(each.curves))])
        for each in networks
    ]
    several = [group for group in groups if len(group) > 1]
    freedom = sum(len(group) - 1 for group in several)
    noise = sum(float(((group - group.mean()) ** 2).sum()) for group in several) / freedom
    means = np.array([group.mean() for group in groups])
    # The variance of the means has a part of the noise in it.
    true = means.var(ddof=1) - noise * float(np.mean([1 / len(group) for group in groups]))
    return {"seeds": noise**0.5, "networks": max(0.0, true) ** 0.5, "n": len(groups)}


# 2. How well a score agrees with a whole training by another seed


def scores(epochs: int) -> dict[str, tuple[Score, float]]:
    """What a network could be ranked by, and the share of a whole training that it costs."""

    found: dict[str, tuple[Score, float]] = {
        "MACs": (lambda network, seed: network.macs, 0),
        "parameters": (lambda network, seed: network.parameters, 0),
        "batch normalization": (lambda network, seed: network.architecture.batch_norm, 0),
    }
    for epoch in range(1, epochs + 1):
        found[f"accuracy after epoch {epoch}"] = (
            lambda network, seed, epoch=epoch: accuracy(network, seed, epoch),
            epoch / epochs,
        )
    whole: dict[str, Callable[[Sequence[Any]], float]] = {
        "validation loss": lambda points: -points[-1].val_loss,
        "training accuracy": lambda points: points[-1].train_accuracy,
        "sum of the training losses": lambda points: -sum(point.loss for point in points),
    }
    for name, of in whole.items():
        for length in dict.fromkeys((epochs // 4, epochs)):
            score = functools.partial(_part, of, length)
            found[f"{name}, {length} epochs"] = score, length / epochs
    found["mean accuracy of the last two epochs"] = _last_two, 1.0
    return found


def _part(of: Callable[[Sequence[Any]], float], length: int, network: Network, seed: int) -> float:
    return of(network.curves[seed][:length])


def _last_two(network: Network, seed: int) -> float:
    return float(np.mean([point.val_accuracy for point in network.curves[seed][-2:]]))


def by_score(networks: Sequence[Network], score: Score) -> np.ndarray:
    """A column for each of the first two seeds."""
    return np.array([[score(each, seed) for seed in (0, 1)] for each in networks], float)


def agreement(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """Kendall's tau of scores with accuracies, both `(networks, 2)`, over crossed seeds."""

    def tau(rows: np.ndarray) -> float:
        ones = np.ones(len(rows))
        return float(np.mean([kendall(first[rows, a], second[rows, 1 - a], ones) for a in (0, 1)]))

    return interval(tau, len(first))


def smoothed(networks: Sequence[Network], values: np.ndarray) -> np.ndarray:
    """Accuracies drawn toward a Gaussian process on what the architectures are."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    features = np.array([_features(network) for network in networks])
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    kernel = ConstantKernel() * RBF(np.ones(features.shape[1])) + WhiteKernel()
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bounds that a kernel's parameter has reached
        for column in values.T:
            process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
            found.append(process.fit(features, column).predict(features))
    return np.stack(found, axis=1)


def _features(network: Network) -> list[float]:
    architecture = network.architecture
    assert architecture is not None
    return [
        np.log(network.macs),
        np.log(network.parameters),
        len(architecture.blocks),
        sum(block.num_convs for block in architecture.blocks),
        float(architecture.batch_norm),
    ]


# 3. What a search costs that screens networks briefly and trains the best of them


def screening(
    score: np.ndarray, truth: np.ndarray, cost: float, drawn: int, trained: int
) -> tuple[float, float]:
    """How often a search finds a good network, and the whole trainings that it takes.

    It draws networks at random, scores each by one seed at a `cost`, trains the best `trained` of
    them by the other seed, and takes the best of these; good are those of TOP by the mean of all.
    """
    random = np.random.Generator(np.random.PCG64(0))
    count = len(truth)
    good = truth.mean(axis=1) >= np.sort(truth.mean(axis=1))[-max(1, round(TOP * count))]
    hits = 0
    for _ in range(REPEATS):
        chosen = random.choice(count, drawn, replace=False)
        seed = random.integers(2)
        if cost < 1:
            chosen = chosen[np.argsort(-score[chosen, seed])[:trained]]
        best = chosen[np.argmax(truth[chosen, 1 - seed])]
        hits += good[best]
    return hits / REPEATS, drawn * cost + trained if cost < 1 else drawn


def plain(found: tuple[float, float, float]) -> str:
    return f"{found[0]:.2f} ({found[1]:.2f} to {found[2]:.2f})"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def groups(networks: Sequence[Network]) -> Mapping[str, Sequence[Network]]:
    return {
        "all": networks,
        "with batch norm": [n for n in networks if n.architecture and n.architecture.batch_norm],
        "without": [n for n in networks if n.architecture and not n.architecture.batch_norm],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=Path, nargs="?", default=TABLE)
    parser.add_argument("brief", type=Path, nargs="?", default=BRIEF)
    args = parser.parse_args()
    long = candidates(read_table(args.table))
    both = {name: each for name, each in long.items() if len(each.curves) > 1}
    networks = list(both.values())
    epochs = len(networks[0].curves[0])
    rows: list[dict[str, Any]] = []

    table = []
    for name, group in groups(networks).items():
        for epoch in (1, epochs // 4, epochs // 2, epochs):
            found = spread(group, epoch)
            rows.append({"figure": "spread", "group": name, "epoch": epoch, **found})
            ratio = found["networks"] / found["seeds"]
            figures = [f"{found['networks']:.2f}", f"{found['seeds']:.2f}", f"{ratio:.1f}"]
            table.append([name, f"{found['n']}", f"{epoch}", *figures])
    print_table(["networks", "n", "epoch", "over networks", "over seeds", "ratio"], table)

    truth = by_score(networks, accuracy)
    ceiling = agreement(truth, truth)
    every: dict[str, tuple[np.ndarray, float]] = {
        name: (by_score(networks, score), cost) for name, (score, cost) in scores(epochs).items()
    }
    if args.brief.exists():
        brief = candidates(read_table(args.brief))
        if all(name in brief for name in both):
            share = len(brief[next(iter(both))].curves[0]) / epochs
            for name, column in {
                "a brief training: accuracy": [accuracy(brief[n], 0) for n in both],
                "a brief training: validation loss": [
                    -brief[n].curves[0][-1].val_loss for n in both
                ],
            }.items():
                values = np.array(column)[:, None].repeat(2, axis=1)
                every[name] = values, share
                every[f"{name}, smoothed"] = smoothed(networks, values), share
    every["accuracy, smoothed"] = smoothed(networks, truth), 1.0
    inside = [
        [n for n, each in enumerate(networks) if each in group]
        for group in groups(networks).values()
    ]
    table = []
    for name, (score, cost) in every.items():
        taus = [agreement(score[own], truth[own]) for own in inside]
        rows.append({"figure": "tau", "score": name, "cost": cost, "tau": taus[0], "taus": taus})
        table.append([name, f"{cost:.0%}", *map(plain, taus), f"{taus[0][0] / ceiling[0]:.2f}"])
    print_table(["ranked by", "cost", *groups(networks), "share of the ceiling"], table)

    table = []
    count = len(networks)
    policies = [
        (drawn, name, trained)
        for drawn in (8, 12, 16, 24, 32, 48)
        for name, trained in (("whole", drawn), *((s, t) for s in SCREENS for t in (1, 2, 4)))
    ]
    for drawn, name, trained in policies:
        if drawn > count or (name != "whole" and name not in every):
            continue
        score, cost = every[name] if name != "whole" else (truth, 1.0)
        hit, trainings = screening(score, truth, cost, drawn, trained)
        row = {"drawn": drawn, "screened_by": name, "trained": trained, "found": hit}
        rows.append({"figure": "screening", **row, "cost": trainings})
        table.append([f"{drawn}", name, f"{trained}", f"{trainings:.1f}", f"{hit:.0%}"])
    print_table(["drawn", "screened by", "trained", "whole trainings", "finds the top 5 %"], table)
    write("evidence", rows, threads=1)


SCREENS = ("accuracy after epoch 1", "a brief training: accuracy")


if __name__ == "__main__":
    main()
