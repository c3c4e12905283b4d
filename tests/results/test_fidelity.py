"""Which networks are trained for longer, and the figures that come of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.records import changed, record
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nas_incep.errors import InputError
from nas_incep.records import COMPLETE, TrialRecord
from nas_incep.results import fidelity
from nas_incep.results.agreement import Estimate, agreements, kendall, recall, regret, spearman
from nas_incep.results.fidelity import (
    BRIEF,
    Certificate,
    Fidelity,
    certify,
    members,
    trainings,
)

values = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 4)), min_size=3, max_size=12
)


def ranking(count: int) -> list[TrialRecord]:
    """Candidates of falling accuracy, whose MACs rise."""
    records = [record(n, COMPLETE, 0.1, 0.9 - 0.5 * n / count) for n in range(count)]
    return [
        dataclasses.replace(r, outcome=dataclasses.replace(r.outcome, macs=10 + n))
        for n, r in enumerate(records)
    ]


def trained(ranked: list[TrialRecord], check: Fidelity, noise: float) -> list[TrialRecord]:
    """The long trainings: a network's accuracy is the brief one and a noise."""
    random = np.random.Generator(np.random.PCG64(0))
    by_trial = {r.subject.trial: r for r in ranked}
    return [
        dataclasses.replace(
            record(s.trial, COMPLETE, by_trial[s.trial].val_accuracy + noise * random.normal()),
            subject=s,
        )
        for s in trainings(check, 0, ranked, [])
    ]


@given(values)
def test_weights_count_networks(rows: list[tuple[int, int, int]]) -> None:
    """A network of weight 3 counts as three networks that are ties of one another."""
    a, b, weights = (np.array(column, float) for column in zip(*rows))
    repeats = weights.astype(int)
    long_a, long_b = np.repeat(a, repeats), np.repeat(b, repeats)
    with np.errstate(invalid="ignore"):
        tau = stats.kendalltau(long_a, long_b).statistic
        rho = np.nan
        if len(set(long_a)) > 1 and len(set(long_b)) > 1:
            rho = stats.spearmanr(long_a, long_b).statistic
    # Without an order there is no agreement.
    assert kendall(a, b, np.outer(weights, weights)) == pytest.approx(np.nan_to_num(tau), abs=1e-9)
    assert spearman(a, b, weights) == pytest.approx(np.nan_to_num(rho), abs=1e-9)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(3, 6))
def test_the_random_networks_stand_for_all_of_the_ranking(
    count: int, networks: int, top: int
) -> None:
    ranked = ranking(count)
    chosen = members(Fidelity(networks, top), 0, ranked)
    assert len(chosen) == min(count, networks + top)
    assert sum(member.weight for member in chosen) == pytest.approx(count)
    if networks > 1:
        assert fidelity._pairs(chosen).sum() == pytest.approx(count * (count - 1))
    numbers = [member.record.subject.trial for member in chosen]
    assert numbers == sorted(set(numbers))  # each once; some from each part
    assert [member.place for member in chosen] == numbers
    assert numbers[:top] == list(range(min(top, count)))


def test_a_stratified_estimate_is_not_biased() -> None:
    """The mean accuracy by weights is that of all candidates, over many draws."""
    ranked = ranking(41)
    true = np.mean([r.val_accuracy for r in ranked])
    estimates = []
    for seed in range(300):
        chosen = members(Fidelity(6, 4), seed, ranked)
        accuracies = [m.record.val_accuracy for m in chosen]
        estimates.append(np.average(accuracies, weights=[m.weight for m in chosen]))
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - true) < 4 * error
    assert error < 0.002


@pytest.mark.parametrize("count", [20, 60, 120])
def test_figures_of_a_sample_are_those_of_all_networks_on_average(count: int) -> None:
    """Of a brief ranking with much noise, whose truth is known."""
    random = np.random.Generator(np.random.PCG64(1))
    ranked = ranking(count)
    errors: dict[str, list[float]] = {"tau": [], "ceiling": [], "recall": []}
    everything = np.ones((count, count)) - np.eye(count)
    for seed in range(150):
        quality = random.standard_normal(count)
        brief = quality + random.standard_normal(count)
        order = np.argsort(-brief)
        brief, long = brief[order], quality[order, None] + 0.3 * random.standard_normal((count, 2))
        means, top = long.mean(axis=1), -(-count // 4)
        best = set(np.argsort(-means)[:top])
        true = (
            kendall(brief, means, everything),
            kendall(long[:, 0], long[:, 1], everything),
            len(best & set(range(top))) / top,
        )
        chosen = members(Fidelity(12, 4), seed, ranked)
        places = np.array([member.place for member in chosen])
        weights, pairs = np.array([m.weight for m in chosen]), fidelity._pairs(chosen)
        found = (
            kendall(brief[places], means[places], pairs),
            kendall(long[places, 0], long[places, 1], pairs),
            recall(places, means[places], weights, top),
        )
        for name, a, b in zip(errors, found, true):
            errors[name].append(a - b)
    for name, own in errors.items():
        assert abs(np.mean(own)) < 3.5 * np.std(own) / np.sqrt(len(own)) + 0.005, name


def test_a_network_drawn_twice_is_not_a_pair_with_itself() -> None:
    """The interval of a figure lies around it, not below it."""
    random = np.random.Generator(np.random.PCG64(3))
    estimates, middles = [], []
    for _ in range(6):
        quality = random.standard_normal(14)
        truth = quality[:, None] + 0.2 * random.standard_normal((14, 2))
        scores = {"a": quality + 0.3 * random.standard_normal(14), "b": random.random(14)}
        pairs = np.ones((14, 14)) - np.eye(14)
        ceiling = agreements(scores, truth, np.ones(14), pairs, "a", "b").ceiling
        assert ceiling.low <= ceiling.value <= ceiling.high
        estimates.append(ceiling.value)
        middles.append((ceiling.low + ceiling.high) / 2)
    assert np.mean(middles) == pytest.approx(np.mean(estimates), abs=0.04)


def test_regret_holds_the_chosen_against_all_others() -> None:
    truth = np.array([[0.80, 0.81], [0.84, 0.85], [0.70, 0.71]])
    behind = regret(truth, 0)
    assert behind.value == pytest.approx(0.04)
    assert 0 < behind.low < 0.04 < behind.high
    best = regret(truth, 1)
    assert (best.value, best.low, best.high) == (0.0, 0.0, 0.0)
    noisy = truth + np.array([[0.05, -0.05]] * 3)
    assert regret(noisy, 1).high > 0  # the second might be better


def test_the_winner_of_the_finals_is_trained_longer_and_held_against_the_best() -> None:
    check, ranked = Fidelity(12, 4), ranking(40)
    winner = ranked[9]
    chosen = members(check, 0, ranked, winner)
    assert [m.place for m in chosen if m.group == 0] == [0, 1, 2, 3, 9]
    assert sum(m.weight for m in chosen) == pytest.approx(40)
    done = [
        dataclasses.replace(record(s.trial, COMPLETE, 0.9 - s.trial / 100), subject=s)
        for s in trainings(check, 0, ranked, [], winner)
    ]
    found = certify(check, 0, ranked, done, winner)
    assert found.regret.value == pytest.approx(0)
    assert found.final_regret is not None
    assert found.final_regret.value == pytest.approx(9)
    assert "the winner of the finals 9.00 (" in " ".join(found.sentences)
    assert found.to_json()["final_regret"] == pytest.approx(9)
    assert certify(check, 0, ranked, done).final_regret is None


def test_a_ranking_that_agrees_is_called_good_and_better_than_macs() -> None:
    check = Fidelity(16, 4, seeds=3)
    ranked = ranking(40)
    found = certify(check, 0, ranked, trained(ranked, check, noise=0.003))
    assert found.taus[BRIEF].value > 0.9
    assert found.taus["MACs"].value < -0.9
    assert found.ceiling.value > 0.8
    assert found.gain.low > 0
    assert found.verdict.startswith("The brief ranking is good: a long seed agrees with it about")
    assert found.verdict.endswith("and it ranks better than the number of MACs does.")
    assert found.recall >= 0.75
    assert found.candidates == 40


def test_noise_alone_is_no_ranking() -> None:
    check = Fidelity(16, 4, seeds=3)
    ranked = ranking(40)
    flat = [
        dataclasses.replace(
            r, outcome=dataclasses.replace(r.outcome, curve=record(0, COMPLETE, 0.5).outcome.curve)
        )
        for r in ranked
    ]
    random = np.random.Generator(np.random.PCG64(5))
    done = [
        dataclasses.replace(record(s.trial, COMPLETE, 0.5 + 0.01 * random.normal()), subject=s)
        for s in trainings(check, 0, flat, [])
    ]
    found = certify(check, 0, ranked, done)
    assert found.taus[BRIEF].low <= 0 <= found.taus[BRIEF].high
    assert found.verdict.startswith("Not shown to rank")


@pytest.mark.parametrize(
    ("tau", "ceiling", "gain", "said"),
    [
        (
            Estimate(0.7, 0.5, 0.8),
            0.75,
            Estimate(0.3, 0.1, 0.5),
            "good: a long seed agrees with it about as with another, an",
        ),
        (Estimate(0.5, 0.2, 0.8), 0.75, Estimate(0.3, 0.1, 0.5), "useful: it has most"),
        (Estimate(0.3, 0.1, 0.5), 0.75, Estimate(0.1, -0.1, 0.2), "weak: it has little"),
        (Estimate(0.3, 0.1, 0.5), 0.75, Estimate(0.1, -0.1, 0.2), "but it is not shown to rank"),
        (Estimate(0.3, -0.1, 0.5), 0.75, Estimate(0.1, -0.1, 0.2), "Not shown to rank: the inter"),
    ],
)
def test_the_verdict_follows_its_rule(
    tau: Estimate, ceiling: float, gain: Estimate, said: str
) -> None:
    one = Estimate(ceiling, 0.0, 1.0)
    found = Certificate(16, 40, 2, 12, {BRIEF: tau}, one, tau, one, gain, 4, 0.5, one)
    assert said in found.verdict


def test_few_long_trainings_give_no_certificate() -> None:
    check = Fidelity(8, 2)
    ranked = ranking(20)
    with pytest.raises(InputError, match="long trainings are complete for 3 networks: 4 are"):
        done = trained(ranked, check, 0.01)
        kept = {r.subject.trial for r in done[:3]}
        certify(check, 0, ranked, [r for r in done if r.subject.trial in kept])


def test_a_further_seed_does_not_replace_one_that_failed() -> None:
    more, fewer = Fidelity(8, 2, seeds=3), Fidelity(8, 2, seeds=2)
    ranked = ranking(20)
    done = trained(ranked, more, 0.01)
    failed = next(r for r in done if r.subject.repeat == 2)
    done[done.index(failed)] = changed(failed, state="diverged", curve=())
    assert trainings(fewer, 0, ranked, done) == []
    assert certify(fewer, 0, ranked, done).networks == 9


def test_what_is_done_is_not_wanted_again() -> None:
    check = Fidelity(8, 2)
    ranked = ranking(20)
    done = trained(ranked, check, 0.01)
    assert trainings(check, 0, ranked, done) == []
    assert trainings(check, 0, ranked, done[:-1]) == [done[-1].subject]
    assert len({subject.seed for subject in trainings(check, 0, ranked, [])}) == 20


@pytest.mark.parametrize(
    "wrong",
    [{"seeds": 1}, {"networks": 1, "top": 2}, {"times": 0}, {"networks": 0, "top": 9}, {"top": -1}],
)
def test_a_check_that_shows_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"(is|are) expected|show the noise"):
        Fidelity(**wrong)
