"""The ranking of a run: its order, what is known about each network, and both in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..records import COMPLETE, CONFIRMATION, FIDELITY, FINALS, SEARCH, TrialRecord
from . import leaderboard
from .fidelity import Certificate, Fidelity, certify
from .finals import Race, race
from .request import SearchRequest
from .run import Run
from .standings import (
    Network,
    Noise,
    Seeds,
    Standing,
    collect,
    compare,
    critical_difference,
    network_of,
    noise_of,
    reporting_stages,
    standings,
)


@dataclass(frozen=True)
class Ranking:
    """A run's networks in order, with the state of its finals.

    `standings` has an entry for each network that has completed a training.
    """

    records: tuple[TrialRecord, ...]  # of the search, best first
    reruns: tuple[TrialRecord, ...]
    standings: dict[Network, Standing]
    race: Race

    @cached_property
    def noise(self) -> Noise | None:
        """The noise between seeds; None: nothing is known of it."""
        return noise_of(self.seeds, [*self.records, *self.reruns])

    @cached_property
    def seeds(self) -> dict[Network, Seeds]:
        """The accuracies of each network by seed."""
        return collect([*self.records, *self.reruns])

    def rows(self, objectives: Sequence[str]) -> list[dict[str, Any]]:
        """The leaderboard's rows; see `leaderboard.rows`."""
        return leaderboard.rows(self.records, objectives, self.standings)


def rank_run(
    request: SearchRequest, records: Sequence[TrialRecord], reruns: Sequence[TrialRecord]
) -> Ranking:
    """Ranks the records of a search and of its reruns.

    Those who were in the finals come first, by the finals; a baseline stands where its mean does.
    """
    by_search = leaderboard.rank(records, request.objectives)
    state = race_of(request, by_search, reruns)
    everything = [*records, *reruns]
    scores = _scores(by_search, state, everything)
    ordered = leaderboard.rank(records, request.objectives, scores)
    winner = network_of(state.winner.subject) if state.winner else None
    order = [network_of(record.subject) for record in ordered]
    known = standings(everything, order, winner)
    return Ranking(tuple(ordered), tuple(reruns), known, state)


def race_of(
    request: SearchRequest, by_search: Sequence[TrialRecord], reruns: Sequence[TrialRecord]
) -> Race:
    """The finals of a search, whose records are ranked by the search alone."""
    epochs, keep = request.recipe.epochs, request.keep
    ended = {record.subject.name for record in by_search if record.subject.is_baseline}
    baselines = map(request.baseline, request.baselines)
    pending = [subject for subject in baselines if subject.name not in ended]
    return race(request.finals, request.seed, epochs, by_search, reruns, keep, pending)


def certificate(run: Run, fidelity: Fidelity) -> Certificate:
    """What the long trainings of a run say about its ranking.

    Raises InputError if there are too few of them.
    """
    request = run.config().request
    ranked = leaderboard.rank(run.records(), request.objectives)
    winner = race_of(request, ranked, run.reruns()).winner
    return certify(fidelity, request.seed, ranked, run.reruns(stages=(FIDELITY,)), winner)


def _scores(
    by_search: Sequence[TrialRecord], state: Race, everything: Sequence[TrialRecord]
) -> dict[Network, float]:
    """What the complete networks are ordered by.

    A candidate that was chosen for the finals stays before those that were not, although its first
    accuracy flattered it: of two numbers in a row the second is smaller.
    """
    if not state.contenders:
        return {}
    seeds = collect(everything)
    chosen = [network_of(record.subject) for record in state.contenders]
    failed = {network_of(r.subject) for r in everything if _has_failed(r)}
    winner = network_of(state.winner.subject) if state.winner else None

    def place(network: Network) -> tuple[bool, bool, bool, float]:
        finals = seeds[network][FINALS]
        # Those that the finals have not come to yet have a lucky seed alone.
        honest = _mean(finals or seeds[network][SEARCH])
        return network != winner, network in failed, not finals, -honest

    chosen.sort(key=place)
    complete = [network_of(r.subject) for r in by_search if r.outcome.state == COMPLETE]
    others = [n for n in complete if seeds[n].is_candidate and n not in chosen]
    scores, least = {}, math.inf
    for network in [*chosen, *others]:
        own = seeds[network]
        # A hair smaller, so that equal ones stay in this order.
        least = min(math.nextafter(least, -1.0), _mean(own[FINALS] or own[SEARCH]))
        scores[network] = least
    baselines = [network for network in complete if not seeds[network].is_candidate]
    return {**scores, **{network: _mean(seeds[network].fresh) for network in baselines}}


def _has_failed(record: TrialRecord) -> bool:
    return record.subject.stage == FINALS and record.outcome.state != COMPLETE


def _mean(accuracies: Sequence[float]) -> float:
    return float(np.mean(accuracies))


@dataclass(frozen=True)
class Difference:
    """How much better one network is than another, in accuracy, with half of its 95 % interval.

    `images` tells whether the interval covers other images than those of the validation part, too.
    """

    accuracy: float
    margin: float
    images: bool

    @property
    def is_seen(self) -> bool:
        return abs(self.accuracy) > self.margin


def difference(ranking: Ranking, first: TrialRecord, second: TrialRecord) -> Difference | None:
    """Compares two networks by their seeds and image by image; None if the noise is unknown.

    Two networks are right about much the same images, so comparing each image tells more than
    comparing two accuracies does.
    """
    seeds = ranking.seeds
    longest = max(own.epochs for own in seeds.values())
    networks = [network_of(record.subject) for record in (first, second)]
    if ranking.noise is None or any(seeds[network].epochs != longest for network in networks):
        return None
    reporting = [_reporting_records(ranking, seeds[network]) for network in networks]
    means = [_mean([r.val_accuracy or 0.0 for r in own]) for own in reporting]
    return _interval(means, reporting, ranking.noise)


def _reporting_records(ranking: Ranking, seeds: Seeds) -> list[TrialRecord]:
    """The records of the seeds that report a network."""
    winner = ranking.race.winner
    is_winner = winner is not None and network_of(winner.subject) == seeds.network
    stages = reporting_stages(seeds, is_winner)
    return [
        record
        for record in (*ranking.records, *ranking.reruns)
        if network_of(record.subject) == seeds.network
        and record.outcome.state == COMPLETE
        and record.subject.stage in stages
        and record.recipe.epochs == seeds.epochs
    ]


def _interval(
    means: Sequence[float], reporting: Sequence[Sequence[TrialRecord]], noise: Noise
) -> Difference:
    variance = noise.deviation**2 * sum(1 / len(records) for records in reporting)
    answers = [
        np.mean([r.outcome.right.to_array() for r in records if r.outcome.right], axis=0)
        for records in reporting
        if all(record.outcome.right for record in records)
    ]
    paired = len(answers) == 2 and len(answers[0]) == len(answers[1])
    if paired:
        variance += float((answers[0] - answers[1]).var()) / len(answers[0])
    margin = critical_difference(2, noise.freedom) * math.sqrt(variance)
    return Difference(means[0] - means[1], margin, paired)


def verdict(ranking: Ranking) -> list[str]:
    """What the ranking says and what it does not, in sentences; nothing before there is a best."""
    candidates = [r for r in ranking.records if not r.subject.is_baseline]
    best = next((r for r in candidates if r.outcome.state == COMPLETE), None)
    if best is None:
        return []
    standing = ranking.standings[network_of(best.subject)]
    if standing.standard_error is None:
        pending = "; the finals are not over" if ranking.race.wanted else ""
        return [_of_one_seed(best) + pending]
    sentences = [_of_best(best, standing, ranking)]
    for record in ranking.records:
        if record.subject.is_baseline and record.outcome.state == COMPLETE:
            found = difference(ranking, best, record)
            if found:
                sentences.append(_of_difference(found, record.subject.name))
    return sentences


def _of_one_seed(best: TrialRecord) -> str:
    """What is known without a second seed: only what the number of images implies."""
    text = (
        "One seed each: nothing is known of the noise between seeds, so networks of similar "
        "accuracy may be in any order"
    )
    right = best.outcome.right
    if not right:
        return text
    answers = right.to_array()
    error = math.sqrt(float(answers.var()) / len(answers))
    return f"{text}; {len(answers):,} images alone leave an error of ± {100 * error:.2f} points"


def _of_best(best: TrialRecord, standing: Standing, ranking: Ranking) -> str:
    """How good the best candidate is, by which seeds, and which networks may be as good."""
    error = 100 * (standing.standard_error or 0.0)
    by = "a seed" if standing.seeds == 1 else f"{standing.seeds} seeds"
    confirmed = standing.reported_by.startswith(CONFIRMATION)
    free = " that took no part in the choice" if confirmed else ""
    text = (
        f"{best.subject.label}: {100 * standing.mean_accuracy:.2f} ± {error:.2f} % (standard error)"
        f" by {by}{free}"
    )
    compared, separated = compare(ranking.seeds, list(ranking.standings), ranking.noise)
    place = compared.index(network_of(best.subject))
    candidates = [ranking.seeds[network].is_candidate for network in compared]
    against = separated[place, candidates]
    tied, better = int((against <= 0).sum()) - 1, int((against < 0).sum())  # less itself
    apart = sum(own.is_candidate for own in ranking.seeds.values()) - len(against)
    text += f"; {tied or 'no'} other candidate{'s' * (tied > 1)} may be as good"
    if better:
        text += f", {better} of them shown to be better"
    if apart:
        text += f" ({apart} had shorter trainings and cannot be compared)"
    return text if not ranking.race.wanted else f"{text}; the finals are not over"


def _of_difference(found: Difference, name: str) -> str:
    points, margin = 100 * found.accuracy, 100 * found.margin
    interval = f"{abs(points):.2f} ± {margin:.2f} points (95 %)"
    if not found.is_seen:
        return f"no difference from {name} seen: {points:+.2f} ± {margin:.2f} points (95 %)"
    return f"{'better' if points > 0 else 'worse'} than {name} by {interval}"
