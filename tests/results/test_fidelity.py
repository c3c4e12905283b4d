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
from nas_incep.results.fidelity import (
    BRIEF,
    Certificate,
    Estimate,
    Fidelity,
    certify,
    kendall,
    members,
    spearman,
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
    assert kendall(a, b, weights) == pytest.approx(np.nan_to_num(tau), abs=1e-9)
    assert spearman(a, b, weights) == pytest.approx(np.nan_to_num(rho), abs=1e-9)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(3, 6))
def test_the_random_networks_stand_for_all_of_the_ranking(
    count: int, networks: int, top: int
) -> None:
    ranked = ranking(count)
    chosen = members(Fidelity(networks, top), 0, ranked)
    assert sum(member.weight for member in chosen) == count
    numbers = [member.record.subject.trial for member in chosen]
    assert numbers == sorted(set(numbers))  # each once; one from each part
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
    found = Certificate(16, 40, 2, 12, {BRIEF: tau}, one, tau, one, gain, 4, 0.5, 0.1)
    assert said in found.verdict


def test_few_long_trainings_give_no_certificate() -> None:
    check = Fidelity(8, 2)
    ranked = ranking(20)
    with pytest.raises(InputError, match="3 networks have completed their long trainings: 4 are"):
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
