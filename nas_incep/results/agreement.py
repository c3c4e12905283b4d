"""How far two orders of networks agree, estimated for all networks from a sample of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .standings import critical_difference, pooled_noise

RESAMPLES = 2000
INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def to_json(self, name: str) -> dict[str, float]:
        """The three figures as `name`, `name_low` and `name_high`."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


@dataclass(frozen=True)
class Agreements:
    """The agreements of scores with long trainings; see `fidelity.Certificate`."""

    taus: Mapping[str, Estimate]
    rho: Estimate
    single: Estimate
    ceiling: Estimate
    gain: Estimate


def agreements(
    scores: Mapping[str, np.ndarray],
    truth: np.ndarray,
    weights: np.ndarray,
    pairs: np.ndarray,
    of: str,
    against: str,
) -> Agreements:
    """The agreements of `scores`, of which `of` is the one in question and `against` its rival.

    `truth` are the accuracies after long trainings `(networks, seeds)`. A network stands for
    `weights[i]` of all networks, two of them for `pairs[i, j]` pairs. The intervals come from
    drawing networks anew, and for each its seeds; pairs are not drawn, because they share networks.
    """
    networks, seeds = truth.shape
    random = np.random.Generator(np.random.PCG64(0))
    all_seeds = np.tile(np.arange(seeds), (networks, 1))
    order = list(scores)

    def figures(rows: np.ndarray, of_means: np.ndarray, of_ceiling: np.ndarray) -> list[float]:
        # A network that was drawn twice forms no pair with itself: that would be one of equals.
        counted = pairs[np.ix_(rows, rows)] * (rows[:, None] != rows)
        drawn = truth[rows[:, None], of_ceiling]
        means = truth[rows[:, None], of_means].mean(axis=1)
        taus = [kendall(score[rows], means, counted) for score in scores.values()]
        between = [
            kendall(drawn[:, a], drawn[:, b], counted) for a in range(seeds) for b in range(a)
        ]
        singles = [kendall(scores[of][rows], drawn[:, a], counted) for a in range(seeds)]
        gain = taus[order.index(of)] - taus[order.index(against)]
        rho = spearman(scores[of][rows], means, weights[rows])
        return [*taus, rho, float(np.mean(singles)), float(np.mean(between)), gain]

    whole = figures(np.arange(networks), all_seeds, all_seeds)
    resampled = [
        figures(
            random.integers(networks, size=networks),
            random.integers(seeds, size=truth.shape),
            random.permuted(all_seeds, axis=1),  # a seed must not meet itself
        )
        for _ in range(RESAMPLES)
    ]
    lows, highs = np.percentile(np.array(resampled), INTERVAL, axis=0)
    found = [Estimate(*map(float, each)) for each in zip(whole, lows, highs)]
    rho, single, ceiling, gain = found[len(order) :]
    return Agreements(dict(zip(order, found)), rho, single, ceiling, gain)


def kendall(a: np.ndarray, b: np.ndarray, pairs: np.ndarray) -> float:
    """Kendall's tau-b, in which pair i, j counts `pairs[i, j]` times; 0 without an order."""
    signs_a, signs_b = np.sign(a[:, None] - a), np.sign(b[:, None] - b)
    both = (pairs * signs_a * signs_b).sum()
    untied = (pairs * signs_a**2).sum() * (pairs * signs_b**2).sum()
    return float(both / np.sqrt(untied)) if untied else 0.0


def spearman(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    """Spearman's rho with weights: the correlation of weighted ranks; 0 without an order."""

    def ranks(values: np.ndarray) -> np.ndarray:
        below = ((values[None, :] < values[:, None]) * weights).sum(axis=1)
        equal = ((values[None, :] == values[:, None]) * weights).sum(axis=1)
        return np.asarray(below + equal / 2)

    x, y = ranks(a), ranks(b)
    x, y = x - np.average(x, weights=weights), y - np.average(y, weights=weights)
    spread = np.sqrt((weights * x * x).sum() * (weights * y * y).sum())
    return float((weights * x * y).sum() / spread) if spread else 0.0


def recall(places: np.ndarray, means: np.ndarray, weights: np.ndarray, top: int) -> float:
    """The share of the truly best `top` networks that a ranking has among its first `top`.

    `places` are those of the sampled networks in that ranking, from 0; `means` are their true
    accuracies. In the order of these each network fills as much of the top as it stands for.
    """
    order = np.argsort(-means, kind="stable")
    ends = np.cumsum(weights[order])
    inside = np.clip(np.minimum(ends, top) - (ends - weights[order]), 0, None)
    return float((inside * (places[order] < top)).sum() / min(top, ends[-1]))


def regret(truth: np.ndarray, chosen: int) -> Estimate:
    """How far the mean of row `chosen` of `truth` `(networks, seeds)` is behind the best one.

    The interval compares it with all others at once (Hsu, "Multiple Comparisons", 1996, chapter 4,
    with the constant of all pairs, which is conservative); its ends are never below 0.
    """
    behind = truth.mean(axis=1) - truth[chosen].mean()
    noise = pooled_noise(truth)
    margin = 0.0
    if noise:
        limit = critical_difference(len(truth), noise.freedom)
        margin = limit * noise.deviation * math.sqrt(2 / truth.shape[1])
    most = float(np.delete(behind, chosen).max(initial=-math.inf))
    return Estimate(max(0.0, most), max(0.0, most - margin), max(0.0, most + margin))
