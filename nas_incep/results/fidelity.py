"""How far a ranking can be believed: some of its networks trained longer, with several seeds.

The networks are the best of the ranking and random ones from all of it. The agreement of the brief
ranking with the long trainings is estimated for all candidates, by weighting the random ones; its
intervals come from resampling networks and seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from .._formats import Natural, Positive
from ..errors import InputError
from ..recipe import derive_seed
from ..records import COMPLETE, FIDELITY, Subject, TrialRecord
from .standings import network_of

LEAST = 4  # networks; fewer have no order to speak of
MAX_SEEDS, MAX_TIMES = 100, 1000
RESAMPLES = 2000
INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Fidelity:
    """How a ranking is checked. Raises InputError for an invalid value."""

    networks: Positive = 12  # drawn at random from the whole ranking
    top: Natural = 4  # the best ones, in any case
    seeds: Annotated[int, Meta(ge=2, le=MAX_SEEDS)] = 2  # for each network
    times: Annotated[int, Meta(ge=1, le=MAX_TIMES)] = 4  # as many epochs as the search has

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise InputError(f"--seeds {self.seeds}: 2 or more show the noise of long trainings")
        for name, least in (("networks", 1), ("top", 0), ("times", 1)):
            if getattr(self, name) < least:
                raise InputError(f"--{name} {getattr(self, name)}: {least} or more is expected")
        if self.seeds > MAX_SEEDS or self.times > MAX_TIMES:
            raise InputError(
                f"--seeds {self.seeds} and --times {self.times}: at most {MAX_SEEDS} and "
                f"{MAX_TIMES} are expected"
            )
        if self.networks + self.top < LEAST:
            raise InputError(
                f"--networks {self.networks} and --top {self.top}: together {LEAST} or more are "
                "expected"
            )


@dataclass(frozen=True)
class Member:
    """A network that is trained longer, and for how many of the ranking's it stands."""

    record: TrialRecord  # of the search
    weight: float


def members(fidelity: Fidelity, seed: int, ranked: Sequence[TrialRecord]) -> list[Member]:
    """The networks of the check: the top, and one from each of as many equal parts of the rest.

    `ranked` are the records of the search, best first; `seed` is the search's.
    """
    complete = [r for r in ranked if not r.subject.is_baseline and r.outcome.state == COMPLETE]
    top, rest = complete[: fidelity.top], complete[fidelity.top :]
    random = np.random.Generator(np.random.PCG64(derive_seed(seed, FIDELITY, len(complete))))
    parts = [part for part in np.array_split(np.arange(len(rest)), fidelity.networks) if len(part)]
    drawn = [Member(rest[int(random.choice(part))], float(len(part))) for part in parts]
    return [*(Member(record, 1.0) for record in top), *drawn]


def trainings(
    fidelity: Fidelity, seed: int, ranked: Sequence[TrialRecord], done: Sequence[TrialRecord]
) -> list[Subject]:
    """The long trainings that are missing; `done` are the records of those that are not."""
    known = {(network_of(r.subject), r.subject.repeat) for r in done}
    subjects = [member.record.subject for member in members(fidelity, seed, ranked)]
    # All networks with one seed first, so that a check that is cut short has an order.
    return [
        subject.again(seed, FIDELITY, repeat)
        for repeat in range(1, fidelity.seeds + 1)
        for subject in subjects
        if (network_of(subject), repeat) not in known
    ]


# What a network could be ranked by; of each, more is thought to be better.
SCORES: Mapping[str, Callable[[TrialRecord], float]] = {
    "brief ranking": lambda record: record.val_accuracy or 0.0,
    "MACs": lambda record: float(record.outcome.macs or 0),
    "parameters": lambda record: float(record.outcome.parameters or 0),
    "first epoch": lambda record: record.outcome.curve[0].val_accuracy,
    "sum of losses": lambda record: -sum(point.loss for point in record.outcome.curve),
}
BRIEF = "brief ranking"


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
class Certificate:
    """What the long trainings say about the brief ranking.

    `taus` is Kendall's tau-b with the mean of the long seeds for each of SCORES, `single` that of
    the brief ranking with one long seed, and `ceiling` that of one long seed with another. `gain`
    is how much larger the brief ranking's tau is than that of MACs, and `rho` is Spearman's.
    `recall` is the share of the truly best `top` that the brief ranking has among its
    best `top`. `regret` is how many points the brief winner is behind the best.
    """

    networks: int
    candidates: int
    seeds: int
    epochs: int  # of a long training
    taus: Mapping[str, Estimate]
    rho: Estimate
    single: Estimate
    ceiling: Estimate
    gain: Estimate
    top: int
    recall: float
    regret: float

    @property
    def verdict(self) -> str:
        """What the figures mean, by a rule that was fixed before any were known."""
        tau, gain = self.taus[BRIEF], self.gain
        if tau.low <= 0:
            return (
                "Not shown to rank: the interval of tau includes 0. More networks, seeds or epochs "
                "may show more."
            )
        # Like with like: both are agreements with a single long seed.
        ceiling = self.ceiling.value
        share = self.single.value / ceiling if ceiling > 0 else float("inf")
        if share >= 0.9:
            text = "The brief ranking is good: a long seed agrees with it about as with another"
        elif share >= 0.6:
            text = "The brief ranking is useful: it has most of the agreement of long seeds"
        else:
            text = "The brief ranking is weak: it has little of the agreement of long seeds"
        if gain.low > 0:
            return f"{text}, and it ranks better than the number of MACs does."
        return f"{text}, but it is not shown to rank better than the number of MACs does."

    def to_json(self) -> dict[str, Any]:
        """One flat object, with the floors in one of their own."""
        return {
            **self.taus[BRIEF].to_json("tau"),
            **self.rho.to_json("rho"),
            **self.single.to_json("single"),
            **self.ceiling.to_json("ceiling"),
            "floors": {name: tau.value for name, tau in self.taus.items() if name != BRIEF},
            **self.gain.to_json("gain_over_macs"),
            **{
                name: getattr(self, name)
                for name in ("top", "recall", "regret", "networks", "candidates", "seeds", "epochs")
            },
            "verdict": self.verdict,
        }


def certify(
    fidelity: Fidelity,
    seed: int,
    ranked: Sequence[TrialRecord],
    done: Sequence[TrialRecord],
) -> Certificate:
    """Compares the ranking with the long trainings; arguments as in `trainings`.

    Raises InputError if fewer than LEAST networks have completed all of theirs.
    """
    long: dict[Any, dict[int, float]] = {}
    for record in done:
        if record.outcome.state == COMPLETE:
            own = long.setdefault(network_of(record.subject), {})
            own[record.subject.repeat] = record.val_accuracy or 0.0
    wanted = set(range(1, fidelity.seeds + 1))  # an earlier check may have had further ones
    chosen = [
        member
        for member in members(fidelity, seed, ranked)
        if wanted <= long.get(network_of(member.record.subject), {}).keys()
    ]
    if len(chosen) < LEAST:
        raise InputError(
            f"{len(chosen)} networks have completed their long trainings: {LEAST} are needed"
        )
    truth = np.array(
        [
            [long[network_of(m.record.subject)][k] for k in range(1, fidelity.seeds + 1)]
            for m in chosen
        ]
    )
    scores = {name: np.array([score(m.record) for m in chosen]) for name, score in SCORES.items()}
    weights = np.array([member.weight for member in chosen])
    taus, (rho, single, ceiling, gain) = _estimates(scores, truth, weights)
    means, brief = truth.mean(axis=1), scores[BRIEF]
    top = max(1, min(fidelity.top, len(chosen) // 2))
    best, found = np.argsort(-means, kind="stable")[:top], np.argsort(-brief, kind="stable")[:top]
    return Certificate(
        networks=len(chosen),
        candidates=round(weights.sum()),
        seeds=fidelity.seeds,
        epochs=done[0].recipe.epochs,
        taus=taus,
        rho=rho,
        single=single,
        ceiling=ceiling,
        gain=gain,
        top=top,
        recall=len(set(best) & set(found)) / top,
        regret=100 * float(means.max() - means[found[0]]),
    )


def _estimates(
    scores: Mapping[str, np.ndarray], truth: np.ndarray, weights: np.ndarray
) -> tuple[dict[str, Estimate], list[Estimate]]:
    """The taus, then rho, the tau with one seed, the ceiling and the gain over MACs.

    With intervals by bootstrap.

    Networks are drawn anew, and for each its seeds; pairs are not, because they share networks.
    """
    networks, seeds = truth.shape
    random = np.random.Generator(np.random.PCG64(0))
    all_seeds = np.tile(np.arange(seeds), (networks, 1))

    def figures(rows: np.ndarray, of_means: np.ndarray, of_ceiling: np.ndarray) -> list[float]:
        drawn, weight = truth[rows[:, None], of_ceiling], weights[rows]
        means = truth[rows[:, None], of_means].mean(axis=1)
        taus = [kendall(score[rows], means, weight) for score in scores.values()]
        between = [
            kendall(drawn[:, a], drawn[:, b], weight) for a in range(seeds) for b in range(a)
        ]
        singles = [kendall(scores[BRIEF][rows], drawn[:, a], weight) for a in range(seeds)]
        order = list(scores)
        gain = taus[order.index(BRIEF)] - taus[order.index("MACs")]
        rho = spearman(scores[BRIEF][rows], means, weight)
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
    return dict(zip(scores, found)), found[len(scores) :]


def kendall(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    """Kendall's tau-b, each pair weighted by the product of its weights; 0 without an order."""
    signs_a, signs_b = np.sign(a[:, None] - a), np.sign(b[:, None] - b)
    pairs = weights[:, None] * weights
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
