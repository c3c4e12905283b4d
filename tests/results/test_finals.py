"""Who is trained again, how often, and what is decided by it."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from helpers.records import a_config, record
from hypothesis import given
from hypothesis import strategies as st

from nas_incep.answers import Answers
from nas_incep.errors import InputError
from nas_incep.records import (
    COMPLETE,
    CONFIRMATION,
    FINALS,
    Subject,
    TrialRecord,
)
from nas_incep.results.finals import Finals, Race
from nas_incep.results.ranking import Ranking, rank_run, verdict
from nas_incep.results.standings import network_of

EPOCHS = 3


def request(share: float = 0.5, **changes: object):
    recipe = dataclasses.replace(a_config().request.recipe, epochs=EPOCHS)
    finals = Finals(share, changes.pop("epochs", None))  # type: ignore[arg-type]
    return a_config(recipe=recipe, finals=finals, **changes).request


def searched(accuracies: list[float], baseline: float | None = None) -> list[TrialRecord]:
    records = [record(n, COMPLETE, 0.1, 0.2, a) for n, a in enumerate(accuracies)]
    if baseline is not None:
        records.append(record(None, COMPLETE, 0.1, 0.2, baseline))
    return records


def trained(one: Subject, accuracy: float, state: str = COMPLETE) -> TrialRecord:
    template = record(one.trial, state, 0.1, 0.2, accuracy)
    return dataclasses.replace(template, subject=one)


def played(asked, records: list[TrialRecord], noise: float, seed: int = 0) -> Ranking:
    """Plays the finals to their end: each network has its first accuracy and a noise."""
    rng = random.Random(seed)
    first = {network_of(r.subject): r.val_accuracy for r in records}
    reruns: list[TrialRecord] = []
    while wanted := (found := rank_run(asked, records, reruns)).race.wanted:
        one = rng.choice(wanted)  # workers may end in any order
        accuracy = first[network_of(one)] + noise * random.Random(f"{one.seed}").uniform(-1, 1)
        reruns.append(trained(one, min(1.0, max(0.0, accuracy))))
        assert len(reruns) < 100
    return found


accuracies = st.lists(st.floats(0.2, 0.8), min_size=2, max_size=20)


@given(accuracies, st.sampled_from([0.2, 0.3, 0.5, 0.7]), st.floats(0, 0.1))
def test_the_finals_never_take_more_than_their_share(
    values: list[float], share: float, noise: float
) -> None:
    asked = request(share, keep=100)
    found = played(asked, searched(values), noise)
    budget = asked.finals.budget(list(found.records), EPOCHS)
    assert len(found.reruns) <= budget
    if found.race.contenders:
        assert found.race.winner is not None
        assert found.records[0] == found.race.winner
    else:
        assert budget < 3


@given(accuracies, st.integers(0, 5))
def test_the_order_in_which_workers_end_does_not_matter(values: list[float], seed: int) -> None:
    asked, records = request(0.5), searched(values, baseline=0.5)
    one, other = played(asked, records, 0.05), played(asked, records, 0.05, seed)
    assert set(map(repr, one.reruns)) == set(map(repr, other.reruns))
    assert one.records == other.records
    assert one.standings == other.standings


def test_contenders_come_first_then_the_others_as_the_search_ranked_them() -> None:
    records = searched([0.70, 0.69, 0.68, 0.67, 0.66, 0.65, 0.30, 0.20])
    found = played(request(0.5), records, 0.3)
    contenders = {r.subject.trial for r in found.race.contenders}
    assert {r.subject.trial for r in found.records[: len(contenders)]} == contenders
    rest = [r.subject.trial for r in found.records[len(contenders) :]]
    assert rest == sorted(rest)


def test_the_winner_has_seeds_that_took_no_part_in_the_choice() -> None:
    found = played(request(0.5), searched([0.7, 0.69, 0.5, 0.4, 0.3, 0.2]), 0.02)
    winner = network_of(found.race.winner.subject)
    stages = [r.subject.stage for r in found.reruns if network_of(r.subject) == winner]
    assert stages.count(CONFIRMATION) == 2
    assert stages.count(FINALS) >= 2
    seeds = {r.subject.seed for r in (*found.records, *found.reruns)}
    assert len(seeds) == len({r.subject.seed for r in found.records}) + len(found.reruns)
    assert found.standings[winner].reported_by == "confirmation 1-2"
    assert "took no part in the choice" in verdict(found)[0]


def test_one_that_is_clearly_worse_is_not_trained_on() -> None:
    found = played(request(0.6), searched([0.9, 0.3, 0.2, 0.1, 0.1, 0.1]), 0.001)
    finals = [r for r in found.reruns if r.subject.stage == FINALS]
    assert len(finals) == 2 * len(found.race.contenders)  # two rounds show the noise
    others = {network_of(r.subject) for r in found.race.contenders if r != found.race.winner}
    assert found.race.dropped == dict.fromkeys(others, 2)


def test_one_whose_training_fails_is_out() -> None:
    asked, records = request(0.5), searched([0.7, 0.69, 0.5, 0.4, 0.3, 0.2])
    reruns: list[TrialRecord] = []
    while wanted := (found := rank_run(asked, records, reruns)).race.wanted:
        for one in wanted:
            state = "diverged" if one.trial == 0 else COMPLETE
            reruns.append(trained(one, 0.6, state))
    assert found.race.winner.subject.trial != 0
    assert sum(r.subject.trial == 0 for r in reruns) == 1
    assert found.race.dropped[network_of(records[0].subject)] == 1


def test_a_baseline_is_trained_once_more_and_compared() -> None:
    found = played(request(0.5), searched([0.7, 0.69, 0.5, 0.4, 0.3, 0.2], baseline=0.3), 0.01)
    extra = [r for r in found.reruns if r.subject.is_baseline]
    assert [(r.subject.stage, r.subject.repeat) for r in extra] == [(CONFIRMATION, 1)]
    assert any(text.startswith("better than inception3@75 by 4") for text in verdict(found))


def test_a_baseline_does_not_wait_for_the_winner() -> None:
    """It is often the largest network, and another worker may be idle."""
    state = rank_run(request(0.5), searched([0.7, 0.69, 0.5, 0.4], baseline=0.3), []).race
    assert [s.stage for s in state.wanted if s.is_baseline] == [CONFIRMATION]
    assert state.winner is None and not state.wanted[0].is_baseline


def test_a_baseline_does_not_even_wait_for_its_own_first_training() -> None:
    """It comes last, so only a worker with nothing else to do begins with it."""
    asked = dataclasses.replace(request(0.5), baselines=("/nets/inception3@75", "resnet18_v1"))
    records = searched([0.7, 0.69, 0.5, 0.4], baseline=0.3)
    pending = rank_run(asked, records[:-1], []).race.wanted[-2:]
    assert [(s.name, s.stage) for s in pending] == [
        ("inception3@75", CONFIRMATION),
        ("resnet18_v1", CONFIRMATION),
    ]
    after = rank_run(asked, records, []).race.wanted[-2:]
    assert pending == after  # with the same seeds
    failed = [*records[:-1], record(None, "diverged", 0.1, 0.2)]
    names = [s.name for s in rank_run(asked, failed, []).race.wanted if s.is_baseline]
    assert names == ["resnet18_v1"]


def test_few_candidates_have_no_finals() -> None:
    assert rank_run(request(0.3), searched([0.5, 0.4]), []).race == Race((), None, ())
    (said,) = verdict(rank_run(request(0.3), searched([0.5, 0.4]), []))
    assert "One seed each" in said and "finals" not in said


def test_pruned_trials_count_by_their_epochs() -> None:
    whole = searched([0.5, 0.4])
    pruned = [record(n, "pruned", 0.2) for n in range(2, 8)]  # one epoch of three
    assert Finals(0.5).budget([*whole, *pruned], EPOCHS) == 4
    assert Finals(0.5, epochs=6).budget(whole, EPOCHS) == 1


@pytest.mark.parametrize("share", [-0.1, 0.91, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="--finals"):
        Finals(share)
    with pytest.raises(InputError, match="--final-epochs 3"):
        Finals(0, epochs=3)


def test_longer_finals_compare_only_long_trainings() -> None:
    """The baseline's short training is not part of its mean."""
    asked = request(0.6, epochs=6)
    records = searched([0.7, 0.69, 0.5, 0.4, 0.3, 0.2], baseline=0.5)
    long = dataclasses.replace(records[0].recipe, epochs=6)
    reruns: list[TrialRecord] = []
    while wanted := (found := rank_run(asked, records, reruns)).race.wanted:
        for number, one in enumerate(wanted):
            accuracy = (0.8 if one.is_baseline else 0.78 - 0.05 * (one.trial or 0)) + number / 1e4
            reruns.append(dataclasses.replace(trained(one, accuracy), recipe=long))
    assert found.records[0].subject.is_baseline
    sentences = verdict(found)
    assert sentences[1].startswith("worse than inception3@75 by 2.")
    assert "had shorter trainings and cannot be compared" in sentences[0]


def test_those_that_the_finals_have_not_come_to_do_not_lead() -> None:
    asked, records = request(0.5), searched([0.7, 0.69, 0.68, 0.3, 0.2, 0.1])
    first = rank_run(asked, records, []).race.wanted
    found = rank_run(asked, records, [trained(first[-1], 0.5)])
    assert found.records[0].subject.trial == first[-1].trial
    assert "the finals are not over" in verdict(found)[0]


def test_finals_that_have_not_begun_are_told() -> None:
    (said,) = verdict(rank_run(request(0.5), searched([0.7, 0.69, 0.68, 0.3, 0.2, 0.1]), []))
    assert said.startswith("One seed each") and said.endswith("; the finals are not over")


def test_a_better_baseline_does_not_hide_the_ties_of_candidates() -> None:
    found = played(request(0.5), searched([0.7, 0.7, 0.7, 0.7, 0.7, 0.7], baseline=0.99), 0.05)
    assert found.records[0].subject.is_baseline
    assert "5 other candidates may be as good" in verdict(found)[0]


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"epochs": -3}])
def test_epochs_that_are_none_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="--final-epochs"):
        Finals(0.3, **wrong)
    with pytest.raises(InputError, match="--keep 0"):
        request(0.3, keep=0)


def test_only_networks_that_are_not_shown_to_be_worse_may_be_as_good() -> None:
    """Whose possible ranks overlap those of the best one is no question."""
    records, reruns = searched([0.600, 0.585, 0.570]), []
    for repeats, one in zip((8, 2, 8), records):
        accuracy = one.val_accuracy or 0.0
        reruns += [
            trained(one.subject.again(0, FINALS, k), accuracy + (-1) ** k * 0.01)
            for k in range(1, repeats + 1)
        ]
    found = rank_run(request(0.0), records, reruns)
    best, _, last = found.standings.values()
    assert best.rank_high >= last.rank_low
    assert "; 1 other candidate may be as good" in verdict(found)[0]


def test_one_seed_each_leaves_the_error_of_the_images() -> None:
    records = searched([0.75, 0.6])
    right = Answers.of(np.arange(400) % 4 != 0)
    best = dataclasses.replace(
        records[0], outcome=dataclasses.replace(records[0].outcome, right=right)
    )
    (said,) = verdict(rank_run(request(0.0), [best, records[1]], []))
    assert said.startswith("One seed each")
    assert said.endswith("400 images alone leave an error of ± 2.17 points")  # sqrt(3/16 / 400)
