"""What the seeds of a run say about its networks: means, errors, possible ranks and ties.

Every network is trained once by the search, and this seed decides who is in the finals; so for
those it flatters, and only seeds that came after the choice count. The noise between seeds is
pooled over all networks that have several.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..records import COMPLETE, CONFIRMATION, FINALS, SEARCH, Subject, TrialRecord

LEVEL = 0.95
_NUMBERS = 2_000_000  # random numbers for a quantile: time and memory

Network = tuple[object, str]  # the trial's number and the network's name


def network_of(subject: Subject) -> Network:
    """What the trainings of one network have in common."""
    return subject.trial, subject.name


@dataclass(frozen=True)
class Seeds:
    """The accuracies of one network after trainings that differ in their seeds alone."""

    network: Network
    epochs: int  # of each training
    by_stage: dict[str, tuple[tuple[int, float], ...]]  # of each stage: repeat and accuracy

    def __getitem__(self, stage: str) -> list[float]:
        return [accuracy for _, accuracy in self.by_stage.get(stage, ())]

    @property
    def is_candidate(self) -> bool:
        return self.network[0] is not None

    @property
    def fresh(self) -> list[float]:
        """The accuracies that do not flatter: all but the one that chose among the candidates.

        Baselines are not chosen. A candidate that was never chosen has its search's seed alone.
        """
        after = [*self[FINALS], *self[CONFIRMATION]]
        if self.is_candidate:
            return after or self[SEARCH]
        return [*self[SEARCH], *after]


@dataclass(frozen=True)
class Standing:
    """What is known about a network; accuracies are fractions.

    `rank_low` to `rank_high` are its possible ranks, best first, among all networks that were
    trained as long; all ranks are right at once with a probability of 95 %. A tie is not shown to
    be worse; a group has a leader, its first, and the leader's ties that have no group yet. None:
    nothing is known of the noise.
    """

    mean_accuracy: float
    mean_epochs: int  # of each training behind the mean
    seeds: int  # of the mean
    standard_error: float | None
    rank_low: int | None
    rank_high: int | None
    tied_with_best: bool | None
    tie_group: int | None  # from 1
    chosen_by: str  # the seeds that the order comes from, as in `finals 1-3`
    reported_by: str  # those that the mean comes from


def collect(records: Iterable[TrialRecord]) -> dict[Network, Seeds]:
    """The seeds of every network that has completed a training, by network.

    Where the finals are longer than the search, accuracies of the two cannot be compared, so of
    networks that have both only the longer count.
    """
    found: dict[Network, dict[str, dict[int, float]]] = {}
    longest: dict[Network, int] = {}
    complete = [r for r in records if r.outcome.state == COMPLETE and r.val_accuracy is not None]
    for record in sorted(complete, key=lambda record: record.recipe.epochs, reverse=True):
        subject, epochs = record.subject, record.recipe.epochs
        network = network_of(subject)
        if longest.setdefault(network, epochs) == epochs:
            stage = found.setdefault(network, {}).setdefault(subject.stage, {})
            stage[subject.repeat] = record.val_accuracy or 0.0
    return {
        network: Seeds(
            network,
            longest[network],
            {stage: tuple(sorted(each.items())) for stage, each in stages.items()},
        )
        for network, stages in found.items()
    }


@dataclass(frozen=True)
class Noise:
    """The deviation between seeds, pooled over networks, and the degrees of freedom behind it."""

    deviation: float
    freedom: int


def pooled_noise(seeds: Iterable[Sequence[float]]) -> Noise | None:
    """The noise that networks with several seeds show; None if there are none."""
    groups = [np.asarray(each) for each in seeds if len(each) > 1]
    freedom = sum(len(group) - 1 for group in groups)
    if not freedom:
        return None
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    return Noise(math.sqrt(squares / freedom), freedom)


def noise_of(seeds: Mapping[Network, Seeds], records: Iterable[TrialRecord]) -> Noise | None:
    """The noise between seeds that a run shows; `seeds` are those of the records.

    Few seeds may agree by chance. But seeds that answer some images differently cannot be expected
    to agree better than if each of these were answered at random, independently of the others; so
    the noise is at least that. (In truth a seed gets many images right or wrong together, which is
    more.)
    """
    longest = max((own.epochs for own in seeds.values()), default=0)
    noise = pooled_noise(own.fresh for own in seeds.values() if own.epochs == longest)
    if noise is None:
        return None
    least = _least([record for record in records if record.recipe.epochs == longest])
    return dataclasses.replace(noise, deviation=max(noise.deviation, least))


def _least(records: Sequence[TrialRecord]) -> float:
    """The deviation between seeds if they answered each image independently of the others."""
    groups: dict[Network, list[np.ndarray]] = {}
    for record in records:
        right, subject = record.outcome.right, record.subject
        flatters = subject.stage == SEARCH and not subject.is_baseline
        if right and not flatters:
            groups.setdefault(network_of(subject), []).append(right.to_array())
    several = [np.stack(each) for each in groups.values() if len(each) > 1]
    freedom = sum(len(each) - 1 for each in several)
    if not freedom:
        return 0.0
    # The variance of a mean over images is the mean of their variances, divided by their number.
    squares = sum((len(a) - 1) * a.var(axis=0, ddof=1).mean() / a.shape[1] for a in several)
    return math.sqrt(squares / freedom)


@lru_cache(maxsize=256)
def critical_difference(networks: int, freedom: int, level: float = LEVEL) -> float:
    """How many standard errors the largest difference of equal networks stays below.

    The quantile of Tukey's studentized range, divided by the square root of 2, with which all pairs
    are compared at once; for different numbers of seeds it is conservative (Hayter, "A proof of the
    conjecture that the Tukey-Kramer procedure is conservative", 1984). By simulation, to 1 or 2 %.
    """
    draws = min(100_000, max(2_000, _NUMBERS // networks))
    random = np.random.Generator(np.random.PCG64(0))
    ranges = np.ptp(random.standard_normal((draws, networks), np.float32), axis=1)
    deviations = np.sqrt(random.chisquare(freedom, draws) / freedom)
    return float(np.quantile(ranges / deviations, level)) / math.sqrt(2)


def standings(
    records: Sequence[TrialRecord], order: Sequence[Network], winner: Network | None
) -> dict[Network, Standing]:
    """What is known about each network, by network.

    `records` are those of the search and of all reruns, `order` is the ranking. `winner` is the
    candidate that the finals have chosen, which seeds report that took no part in the choice.
    """
    seeds = collect(records)
    order = [network for network in order if network in seeds]
    noise = noise_of(seeds, records)
    compared, separated = compare(seeds, order, noise)
    groups = _groups(separated)
    result = {}
    for network in order:
        own = seeds[network]
        stages = reporting_stages(own, network == winner)
        accuracies = [accuracy for stage in stages for accuracy in own[stage]]
        plain = Standing(
            mean_accuracy=float(np.mean(accuracies)),
            mean_epochs=own.epochs,
            seeds=len(accuracies),
            standard_error=None,
            rank_low=None,
            rank_high=None,
            tied_with_best=None,
            tie_group=None,
            chosen_by=_named(own, _choosing_stages(own)),
            reported_by=_named(own, stages),
        )
        result[network] = plain
        if noise and network in compared:
            place = compared.index(network)
            result[network] = dataclasses.replace(
                plain,
                standard_error=noise.deviation / math.sqrt(len(accuracies)),
                rank_low=1 + int((separated[:, place] > 0).sum()),
                rank_high=len(compared) - int((separated[place] > 0).sum()),
                tied_with_best=bool(separated[0, place] <= 0),
                tie_group=groups[place],
            )
    return result


def compare(
    seeds: Mapping[Network, Seeds], order: Sequence[Network], noise: Noise | None
) -> tuple[list[Network], np.ndarray]:
    """The networks of the order that were trained as long as any, and how each two compare.

    The array has 1 where the first of two is surely better, -1 where it is surely worse, else 0.
    """
    longest = max((own.epochs for own in seeds.values()), default=0)
    compared = [network for network in order if seeds[network].epochs == longest]
    return compared, _separated([seeds[network].fresh for network in compared], noise)


def _groups(separated: np.ndarray) -> list[int]:
    groups: list[int] = [0] * len(separated)
    number = 0
    while 0 in groups:
        leader, number = groups.index(0), number + 1
        for place, group in enumerate(groups):
            if not group and separated[leader, place] <= 0:
                groups[place] = number
    return groups


def _separated(fresh: Sequence[Sequence[float]], noise: Noise | None) -> np.ndarray:
    """For each pair whether the first is surely better (1), or worse (-1), or neither (0)."""
    count = len(fresh)
    if noise is None or count < 2:
        return np.zeros((count, count), int)
    means = np.array([np.mean(each) for each in fresh])
    inverse = np.array([1 / len(each) for each in fresh])
    error = noise.deviation * np.sqrt(inverse[:, None] + inverse[None, :])
    limit = critical_difference(count, noise.freedom) * error
    difference = means[:, None] - means[None, :]
    return np.where(np.abs(difference) > limit, np.sign(difference), 0).astype(int)


def reporting_stages(seeds: Seeds, is_winner: bool) -> tuple[str, ...]:
    """The stages whose seeds may report a network without flattering it."""
    if not seeds.is_candidate:
        return (SEARCH, CONFIRMATION)
    if is_winner and seeds[CONFIRMATION]:
        return (CONFIRMATION,)
    return (FINALS, CONFIRMATION) if seeds[FINALS] else (SEARCH,)


def _choosing_stages(seeds: Seeds) -> tuple[str, ...]:
    """The stages whose seeds give a network its place in the ranking."""
    if not seeds.is_candidate:
        return (SEARCH, CONFIRMATION)
    return (FINALS,) if seeds[FINALS] else (SEARCH,)


def _named(seeds: Seeds, stages: Iterable[str]) -> str:
    """The seeds of some stages as a phrase: `finals 1-3`."""
    parts = []
    for stage in stages:
        repeats = [repeat for repeat, _ in seeds.by_stage.get(stage, ())]
        if stage == SEARCH and repeats:
            parts.append(SEARCH)
        elif repeats:
            last = f"-{repeats[-1]}" if len(repeats) > 1 else ""
            parts.append(f"{stage} {repeats[0]}{last}")
    return ", ".join(parts)
