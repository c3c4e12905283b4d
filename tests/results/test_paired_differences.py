"""`better than ... by x ± y points`, against what is true of simulated networks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.records import a_config, record

from nas_incep.answers import Answers
from nas_incep.records import COMPLETE, FINALS, TrialRecord
from nas_incep.results.ranking import difference, rank_run

IMAGES = 300


def network(
    trial: int, easiness: np.ndarray, seeds: int, random: np.random.Generator
) -> list[TrialRecord]:
    """The trainings of a network: the search's and further ones, each with its own luck."""
    records = []
    for repeat in range(seeds + 1):
        luck = 0.2 * random.standard_normal()
        right = random.random(IMAGES) < 1 / (1 + np.exp(-easiness - luck))
        one = record(trial, COMPLETE, 0.1, float(right.mean()))
        outcome = dataclasses.replace(one.outcome, right=Answers.of(right))
        subject = one.subject.again(0, FINALS, repeat) if repeat else one.subject
        records.append(dataclasses.replace(one, subject=subject, outcome=outcome))
    return records


@pytest.mark.parametrize("gap", [0.0, 2.0])
def test_networks_that_are_equally_good_are_rarely_called_different(gap: float) -> None:
    """Equal over all images there could be, and each good at others of them; or far apart."""
    random = np.random.Generator(np.random.PCG64(0))
    seen = misses = 0
    repeats = 120
    for _ in range(repeats):
        common = random.normal(1.5, 2, IMAGES)
        own = random.normal(0, 0.7, (2, IMAGES))
        records = [
            *network(0, common + own[0] + gap, 3, random),
            *network(1, common + own[1], 3, random),
        ]
        first, second = records[0], records[4]
        reruns = [r for r in records if r not in (first, second)]
        request = a_config().request
        ranking = rank_run(request, [first, second], reruns)
        found = difference(ranking, first, second)
        assert found is not None
        assert found.images
        seen += found.is_seen
        misses += found.is_seen and (found.accuracy > 0) != (gap > 0)
    if gap:
        assert seen > 0.9 * repeats
        assert not misses
    else:
        assert seen <= 0.08 * repeats  # 5 % are allowed, and 0.08 with the luck of 120 draws
