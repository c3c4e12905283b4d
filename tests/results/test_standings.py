"""Means, errors, possible ranks and ties, from seeds."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from helpers.records import record
from hypothesis import given
from hypothesis import strategies as st

from nas_incep.answers import Answers
from nas_incep.records import COMPLETE, CONFIRMATION, FINALS, TrialRecord
from nas_incep.results.standings import (
    collect,
    critical_difference,
    network_of,
    noise_of,
    pooled_noise,
    standings,
)


def again(one: TrialRecord, stage: str, repeat: int, accuracy: float) -> TrialRecord:
    """A further training of a record's network."""
    subject = dataclasses.replace(one.subject, stage=stage, repeat=repeat, seed=repeat)
    point = dataclasses.replace(one.outcome.curve[-1], val_accuracy=accuracy)
    outcome = dataclasses.replace(one.outcome, curve=(*one.outcome.curve[:-1], point))
    return dataclasses.replace(one, subject=subject, outcome=outcome)


def networks(records: list[TrialRecord]) -> list[tuple[object, str]]:
    return list(dict.fromkeys(network_of(record.subject) for record in records))


@pytest.mark.parametrize(
    ("networks", "freedom", "studentized_range"),
    # The 5 % points of tables of the studentized range (Harter, 1960).
    [(2, 10, 3.151), (3, 10, 3.877), (10, 20, 5.008), (20, 60, 5.241), (5, 5, 5.673)],
)
def test_differences_are_critical_as_in_published_tables(
    networks: int, freedom: int, studentized_range: float
) -> None:
    found = critical_difference(networks, freedom) * math.sqrt(2)
    assert found == pytest.approx(studentized_range, rel=0.02)


@given(st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=4), min_size=1, max_size=4))
def test_noise_is_pooled_as_in_an_analysis_of_variance(groups: list[list[float]]) -> None:
    found = pooled_noise([*groups, [0.5]])  # a single seed tells nothing
    assert found is not None
    assert found.freedom == sum(map(len, groups)) - len(groups)
    within = sum(((np.array(group) - np.mean(group)) ** 2).sum() for group in groups)
    assert found.deviation == pytest.approx(math.sqrt(within / found.freedom))


def answering(again: TrialRecord, right: np.ndarray) -> TrialRecord:
    outcome = dataclasses.replace(again.outcome, right=Answers.of(right))
    return dataclasses.replace(again, outcome=outcome)


def test_seeds_that_agree_by_chance_do_not_make_noise_small() -> None:
    """Half of the images are answered anew by each seed, and the accuracies are equal by chance."""
    one = record(0, COMPLETE, 0.9)
    lucky = [
        answering(again(one, FINALS, 1, 0.5), np.tile([True, False], 200)),
        answering(again(one, FINALS, 2, 0.5), np.tile([True, False, False, True], 100)),
    ]
    found = noise_of(collect([one, *lucky]), [one, *lucky])
    assert found is not None and found.freedom == 1
    # The two differ in half of 400 images, each of which is 1 or 0.
    assert found.deviation == pytest.approx(math.sqrt(0.5 * 0.5 / 400))
    # Where accuracies differ by more than their images alone would let them, they count.
    apart = [lucky[0], again(one, FINALS, 2, 0.7)]
    found = noise_of(collect([one, *apart]), [one, *apart])
    assert found is not None and found.deviation == pytest.approx(0.2 / math.sqrt(2))


def test_one_seed_each_tells_nothing_of_the_noise() -> None:
    records = [record(0, COMPLETE, 0.5), record(1, COMPLETE, 0.4)]
    found = standings(records, networks(records), None)
    assert {s.standard_error for s in found.values()} == {None}
    assert {s.rank_low for s in found.values()} == {s.tied_with_best for s in found.values()}
    assert [s.mean_accuracy for s in found.values()] == [0.5, 0.4]


def test_the_seed_that_chose_a_network_does_not_report_it() -> None:
    lucky, other = record(0, COMPLETE, 0.9), record(1, COMPLETE, 0.8)
    reruns = [
        again(lucky, FINALS, 1, 0.70),
        again(lucky, FINALS, 2, 0.72),
        again(other, FINALS, 1, 0.60),
        again(other, FINALS, 2, 0.62),
        again(lucky, CONFIRMATION, 1, 0.66),
        again(lucky, CONFIRMATION, 2, 0.68),
    ]
    order = networks([lucky, other])
    found = standings([lucky, other, *reruns], order, order[0])
    best, second = found[order[0]], found[order[1]]
    assert best.mean_accuracy == pytest.approx(0.67)
    assert (best.seeds, best.chosen_by, best.reported_by) == (2, "finals 1-2", "confirmation 1-2")
    assert second.mean_accuracy == pytest.approx(0.61)
    assert (second.seeds, second.chosen_by, second.reported_by) == (2, "finals 1-2", "finals 1-2")


def test_a_baseline_was_not_chosen_so_all_its_seeds_report_it() -> None:
    baseline, one = record(None, COMPLETE, 0.5), record(0, COMPLETE, 0.6)
    reruns = [again(baseline, CONFIRMATION, 1, 0.7), again(one, FINALS, 1, 0.6)]
    order = networks([baseline, one])
    found = standings([baseline, one, *reruns], order, None)[order[0]]
    assert found.mean_accuracy == pytest.approx(0.6)
    assert (found.seeds, found.reported_by) == (2, "search, confirmation 1")
    assert found.chosen_by == found.reported_by  # the same mean gives it its place


def test_networks_far_apart_have_ranks_of_their_own_and_near_ones_share_them() -> None:
    means = [0.9, 0.899, 0.5]
    records, reruns = [], []
    for number, mean in enumerate(means):
        one = record(number, COMPLETE, mean)
        records.append(one)
        reruns += [
            again(one, FINALS, repeat, mean + sign * 0.005)
            for repeat, sign in enumerate((1, -1, 1, -1), 1)
        ]
    found = list(standings([*records, *reruns], networks(records), None).values())
    assert [(s.rank_low, s.rank_high) for s in found] == [(1, 2), (1, 2), (3, 3)]
    assert [s.tied_with_best for s in found] == [True, True, False]
    assert [s.tie_group for s in found] == [1, 1, 2]


def seeds_of(means: list[float], counts: list[int]) -> tuple[list[TrialRecord], list[TrialRecord]]:
    """Networks with so many seeds each, which deviate by about 0.01."""
    records, reruns = [], []
    for number, (mean, count) in enumerate(zip(means, counts)):
        one = record(number, COMPLETE, mean)
        records.append(one)
        reruns += [
            again(one, FINALS, repeat, mean + (-1) ** repeat * 0.01)
            for repeat in range(1, count + 1)
        ]
    return records, reruns


def test_intervals_of_ranks_may_overlap_where_networks_are_no_ties() -> None:
    """The middle ones, with few seeds, are ties of all; the first is better than the last."""
    records, reruns = seeds_of([0.60, 0.585, 0.585, 0.57], [8, 2, 2, 8])
    found = list(standings([*records, *reruns], networks(records), None).values())
    assert [(s.rank_low, s.rank_high) for s in found] == [(1, 3), (1, 4), (1, 4), (2, 4)]
    assert [s.tied_with_best for s in found] == [True, True, True, False]
    assert [s.tie_group for s in found] == [1, 1, 1, 2]


def test_a_network_that_is_shown_to_be_better_than_the_first_may_be_as_good() -> None:
    records, reruns = seeds_of([0.5, 0.8, 0.4], [4, 4, 4])
    found = list(standings([*records, *reruns], networks(records), None).values())
    assert [(s.rank_low, s.rank_high) for s in found] == [(2, 2), (1, 1), (3, 3)]
    assert [s.tied_with_best for s in found] == [True, True, False]


def test_longer_finals_are_not_compared_with_the_search() -> None:
    records = [record(0, COMPLETE, 0.6), record(1, COMPLETE, 0.5)]
    longer = dataclasses.replace(records[0].recipe, epochs=9)
    reruns = [
        dataclasses.replace(again(records[0], FINALS, repeat, accuracy), recipe=longer)
        for repeat, accuracy in ((1, 0.8), (2, 0.82))
    ]
    order = networks(records)
    found = standings([*records, *reruns], order, None)
    assert found[order[0]].mean_accuracy == pytest.approx(0.81)
    assert (found[order[0]].mean_epochs, found[order[1]].mean_epochs) == (9, 3)
    assert found[order[0]].rank_high == 1  # alone among those that were trained as long
    assert found[order[1]].rank_low is None
    assert collect(reruns)[order[0]].epochs == 9


@pytest.mark.parametrize("seed", range(3))
def test_equal_networks_are_rarely_called_different(seed: int) -> None:
    """Of 60 searches over equal networks about 3 may call some pair different, hardly ever 10."""
    random = np.random.Generator(np.random.PCG64(seed))
    wrong = 0
    for _ in range(60):
        records = [record(number, COMPLETE, 0.5) for number in range(8)]
        reruns = [
            again(one, FINALS, repeat, 0.5 + 0.01 * random.standard_normal())
            for one in records
            for repeat in (1, 2, 3)
        ]
        found = standings([*records, *reruns], networks(records), None)
        wrong += any(s.rank_low != 1 or s.rank_high != 8 for s in found.values())
    assert wrong < 10
