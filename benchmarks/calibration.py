"""What finals find and what a leaderboard claims, against what is true: simulated searches.

    python benchmarks/calibration.py nas-bench-macro_cifar10.json.xz
    python benchmarks/calibration.py tables/nin_small_cifar10.json.xz --trainings 20 40 --noise 1

The first table is that of NAS-Bench-Macro (Su et al., arXiv:2103.11922): 6,561 networks for
CIFAR-10, each trained with three seeds; the second is the project's own. A network's true accuracy
is the mean of its seeds. The accuracy of a seed is the true one and a residual of a network of
similar accuracy, drawn from the table; it is scaled, because the mean is that of the seeds
themselves, and by --noise. Nothing else is made up. Each search
draws its networks at random and ends as a real one does: `results.finals` asks for trainings,
`results.ranking` ranks. Policies are compared at equal numbers of trainings,
or slightly fewer with finals.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness import write

from nas_incep.architecture import NOTEBOOK
from nas_incep.recipe import Recipe
from nas_incep.records import CANDIDATE, COMPLETE, EpochResult, Outcome, Subject, TrialRecord
from nas_incep.results.finals import Finals
from nas_incep.results.ranking import rank_run
from nas_incep.results.request import SearchRequest
from nas_incep.results.standings import network_of
from nas_incep.search.recorded import read_recorded
from nas_incep.spaces.reader import read_space

RECIPE = Recipe(epochs=1)
REPEATS = 500  # searches for each row of what is published
NEIGHBORS = 200  # networks of similar accuracy that lend their residuals


class Truth:
    """The networks of the table, by accuracy, in points."""

    def __init__(self, path: Path, noise: float) -> None:
        networks = read_recorded(path).table.networks.values()
        seeds = [
            np.array([100 * curve[-1].val_accuracy for curve in network.curves])
            for network in networks
            if len(network.curves) > 1
        ]
        seeds.sort(key=np.mean)
        self.means = np.array([own.mean() for own in seeds])
        # The mean of n seeds takes the n-th part of the variance away.
        self.residuals = [
            (own - own.mean()) * np.sqrt(len(own) / (len(own) - 1)) * noise for own in seeds
        ]

    def draw(self, network: int, random: np.random.Generator) -> float:
        """The accuracy of a network after a training, a fraction."""
        near = min(NEIGHBORS, len(self.means))
        low = min(max(0, network - near // 2), len(self.means) - near)
        residuals = self.residuals[random.integers(low, low + near)]
        found = self.means[network] + residuals[random.integers(len(residuals))]
        return float(min(1.0, found / 100))


def record(subject: Subject, accuracy: float) -> TrialRecord:
    curve = (EpochResult(1, 1.0, accuracy, 1.0, accuracy, 100, 0.0, 0.0),)
    outcome = Outcome(COMPLETE, curve=curve, parameters=1, macs=1)
    return TrialRecord(subject, outcome, "table", RECIPE, "", {}, "", 0.0)


def search(
    truth: Truth, trainings: int, finals: Finals, random: np.random.Generator
) -> dict[str, Any]:
    """One search of that many trainings, and how right it is."""
    trials = round(trainings * (1 - finals.share))
    request = SearchRequest(
        space=SPACE, recipe=RECIPE, trials=trials, keep=trials, finals=finals, baselines=()
    )
    networks = random.choice(len(truth.means), trials, replace=False)
    subjects = [
        Subject(CANDIDATE, number, f"{network}", 0, NOTEBOOK)
        for number, network in enumerate(networks)
    ]
    records = [record(s, truth.draw(int(s.name), random)) for s in subjects]
    reruns: list[TrialRecord] = []
    while wanted := (ranking := rank_run(request, records, reruns)).race.wanted:
        reruns += [record(subject, truth.draw(int(subject.name), random)) for subject in wanted]
    order = [int(r.subject.name) for r in ranking.records]
    standing = ranking.standings[network_of(ranking.records[0].subject)]
    true = truth.means[order]
    ranks = 1 + np.array([(true > mean).sum() for mean in true])
    rows = [ranking.standings[network_of(r.subject)] for r in ranking.records]
    claims = right = 0
    if rows[0].rank_low is not None:
        # Of the pairs whose intervals of ranks do not overlap, the first is called better.
        for i, first in enumerate(rows):
            for j, second in enumerate(rows):
                if first.rank_high < second.rank_low:
                    claims += 1
                    right += true[i] > true[j]
    covered = all(
        row.rank_low is None or row.rank_low <= rank <= row.rank_high
        for row, rank in zip(rows, ranks)
    )
    return {
        "regret": float(truth.means[networks].max() - true[0]),
        "absolute": float(truth.means.max() - true[0]),
        "flattery": 100 * standing.mean_accuracy - float(true[0]),
        "trainings": len(records) + len(reruns),
        "claims": claims,
        "right": right,
        "covered": covered,
        "tied": statistics.mean(row.tied_with_best is not False for row in rows),
    }


SPACE = read_space("quick")


def summary(found: Sequence[dict[str, Any]]) -> dict[str, float]:
    claims = sum(row["claims"] for row in found)
    mean = {key: statistics.mean(row[key] for row in found) for key in found[0]}
    error = statistics.stdev(row["absolute"] for row in found) / len(found) ** 0.5
    return {
        "trainings": mean["trainings"],
        "regret": mean["absolute"],
        "regret_error": error,
        "flattery": mean["flattery"],
        "flattery_error": statistics.stdev(row["flattery"] for row in found) / len(found) ** 0.5,
        "claims": claims / len(found),
        "claims_right": sum(row["right"] for row in found) / claims if claims else 1.0,
        "ranks_covered": mean["covered"],
        "may_be_best": mean["tied"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--trainings", type=int, nargs="+", default=[20, 40, 80])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.2, 0.3, 0.4, 0.5])
    parser.add_argument("--noise", type=float, nargs="+", default=[1.0, 5.0])
    parser.add_argument("--repeats", type=int, default=REPEATS)
    args = parser.parse_args()
    rows = []
    for noise in args.noise:
        truth = Truth(args.table, noise)
        for trainings in args.trainings:
            for share in args.shares:
                random = np.random.Generator(np.random.PCG64(1))
                found = [
                    search(truth, trainings, Finals(share), random) for _ in range(args.repeats)
                ]
                row = {"noise": noise, "budget": trainings, "share": share, **summary(found)}
                rows.append({**row, "repeats": args.repeats})
                print({key: round(value, 4) for key, value in row.items()}, flush=True)
    if args.repeats >= REPEATS:  # fewer are a trial
        write(f"calibration_{args.table.name.partition('.')[0]}", rows, threads=1)


if __name__ == "__main__":
    main()
