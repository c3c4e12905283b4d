"""The importances of parameters, from records."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from helpers.commands import TINY_SPACE
from helpers.records import a_config, record
from helpers.tables import tiny_architectures

from nas_incep.records import DUPLICATE, PRUNED, TrialRecord
from nas_incep.spaces.reader import parse_space
from nas_incep.study.importances import ENOUGH, importances

CONFIG = a_config(space=parse_space(TINY_SPACE, "tiny", "tiny"))


def records(state: str = "complete") -> list[TrialRecord]:
    """All tiny networks; the first branch decides the accuracy, and the second a little."""
    made = []
    for number, architecture in enumerate(tiny_architectures()):
        block = architecture.blocks[0]
        one = record(number, state, 0.5 + 0.02 * block.n1_1 + 0.001 * block.n2_3)
        subject = dataclasses.replace(
            one.subject, name=architecture.identity, architecture=architecture
        )
        made.append(dataclasses.replace(one, subject=subject))
    return made


def test_the_parameter_that_decides_is_the_most_important() -> None:
    found = importances(CONFIG, records())
    assert next(iter(found)) == "b0.n1_1"
    assert sum(found.values()) == pytest.approx(1)
    assert set(found) == {"b0.n1_1", "b0.n2_3", "b0.n4_1", "batch_norm"}


def test_baselines_duplicates_and_pruned_candidates_change_nothing() -> None:
    """A network that was drawn many times counts once."""
    copies = [
        dataclasses.replace(
            one,
            subject=dataclasses.replace(one.subject, trial=number),
            outcome=dataclasses.replace(one.outcome, state=DUPLICATE, curve=()),
        )
        for number, one in zip(itertools.count(100), records()[:8])
    ]
    others = [record(None, "complete", 0.99), *copies, *records(PRUNED)]
    assert importances(CONFIG, [*records(), *others]) == importances(CONFIG, records())


def test_few_candidates_have_none() -> None:
    assert importances(CONFIG, records()[: ENOUGH - 1]) == {}
    assert importances(CONFIG, records()[:ENOUGH]) != {}
    assert importances(CONFIG, []) == {}
