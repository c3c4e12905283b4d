"""Objectives: their names, their values of a record, and which records are on the front."""

from __future__ import annotations

import math

import pytest
from helpers.records import changed, record
from hypothesis import given
from hypothesis import strategies as st

from nas_incep.errors import InputError
from nas_incep.records import COMPLETE, STATES, TrialRecord
from nas_incep.results.objectives import directions, pareto_front, parse_objectives, values

ALL = ("accuracy", "macs", "params", "latency")


def measured(
    trial: int | None, accuracy: float, macs: int, latency: float | None = None
) -> TrialRecord:
    return changed(record(trial, COMPLETE, accuracy), macs=macs, latency_ms=latency)


# Names.


@pytest.mark.parametrize(
    ("text", "objectives", "ways"),
    [
        ("accuracy", ("accuracy",), ["maximize"]),
        ("accuracy,macs", ("accuracy", "macs"), ["maximize", "minimize"]),
        ("accuracy, latency", ("accuracy", "latency"), ["maximize", "minimize"]),
        ("accuracy,params,macs", ("accuracy", "params", "macs"), ["maximize", *["minimize"] * 2]),
    ],
)
def test_objectives_are_accuracy_and_what_it_may_cost(
    text: str, objectives: tuple[str, ...], ways: list[str]
) -> None:
    assert parse_objectives(text) == objectives
    assert directions(objectives) == ways


@pytest.mark.parametrize(
    "text",
    [
        *("", "macs", "macs,accuracy", "accuracy,", "accuracy,speed", "accuracy,macs,macs"),
        *("Accuracy", "accuracy,accuracy", "accuracy;macs"),
    ],
)
def test_other_objectives_are_refused_with_the_rule(text: str) -> None:
    with pytest.raises(InputError) as error:
        parse_objectives(text)
    assert str(error.value) == (
        f"--objective {text!r}: accuracy is expected, alone or followed by distinct ones of "
        "macs, params, latency, separated by commas"
    )


# Values.


def test_values_stand_in_the_order_of_the_objectives() -> None:
    one = measured(0, 0.5, 20, 1.5)
    assert values(one, ALL) == [0.5, 20.0, 10.0, 1.5]
    assert values(one, ("accuracy", "latency")) == [0.5, 1.5]


def test_a_record_without_a_finite_value_of_each_has_none() -> None:
    assert values(measured(0, 0.5, 20, None), ("accuracy", "latency")) is None
    assert values(measured(0, 0.5, 20, None), ("accuracy", "macs")) == [0.5, 20.0]
    assert values(measured(0, 0.5, 20, math.inf), ("accuracy", "latency")) is None
    assert values(measured(0, math.nan, 20, 1.0), ("accuracy", "latency")) is None
    assert values(record(0, COMPLETE), ("accuracy",)) is None  # no epoch at all


@pytest.mark.parametrize("state", STATES)
def test_only_a_complete_record_has_values(state: str) -> None:
    assert (values(record(0, state, 0.5), ("accuracy",)) is not None) == (state == COMPLETE)


# The front. A coarse grid, so that there are ties.

RECORDS = st.lists(
    st.tuples(
        st.sampled_from([COMPLETE] * 4 + ["pruned"]),
        st.sampled_from([0.0, 0.25, 0.5, 0.75]),
        *[st.integers(1, 4)] * 2,
        st.sampled_from([0.5, 1.0, 1.5, None]),
    ),
    max_size=25,
).map(
    lambda items: [
        changed(record(n, state, accuracy), macs=macs, parameters=parameters, latency_ms=latency)
        for n, (state, accuracy, macs, parameters, latency) in enumerate(items)
    ]
)
OBJECTIVES = st.sampled_from(
    [ALL[:1], *((ALL[0], cost) for cost in ALL[1:]), ("accuracy", "latency", "macs"), ALL]
)


def dominates(one: TrialRecord, other: TrialRecord, objectives: tuple[str, ...]) -> bool:
    """By the definition, word for word."""
    better = worse = False
    for name, a, b in zip(objectives, values(one, objectives), values(other, objectives)):
        gain = a - b if name == "accuracy" else b - a
        better, worse = better or gain > 0, worse or gain < 0
    return better and not worse


@given(RECORDS, OBJECTIVES)
def test_the_front_is_what_nothing_dominates(
    records: list[TrialRecord], objectives: tuple[str, ...]
) -> None:
    front = pareto_front(records, objectives)
    compared = [r for r in records if values(r, objectives) is not None]
    assert front == [r for r in records if r in front]  # of the records, in their order
    assert bool(front) == bool(compared)
    for one in compared:
        if one in front:
            assert not any(dominates(other, one, objectives) for other in compared)
        else:
            assert any(dominates(other, one, objectives) for other in front)


@given(RECORDS)
def test_with_accuracy_alone_the_front_is_the_best_ones(records: list[TrialRecord]) -> None:
    complete = [r for r in records if r.outcome.state == COMPLETE]
    best = max((r.val_accuracy for r in complete), default=None)
    assert pareto_front(records, ("accuracy",)) == [r for r in complete if r.val_accuracy == best]


def test_equal_records_stay_on_the_front_together_and_baselines_count() -> None:
    twins = [measured(0, 0.5, 10), measured(1, 0.5, 10)]
    assert pareto_front(twins, ("accuracy", "macs")) == twins
    baseline = measured(None, 0.6, 9)
    assert pareto_front([*twins, baseline], ("accuracy", "macs")) == [baseline]


def test_a_front_of_thousands_is_whole() -> None:
    """The worst case: each record is a little better and a little dearer than the one before."""
    steps = [measured(n, n / 3000, 3 * n + 1) for n in range(3000)]
    beaten = [measured(3000 + n, n / 3000, 3 * n + 2) for n in range(3000)]
    assert pareto_front([*beaten, *steps], ("accuracy", "macs")) == steps
