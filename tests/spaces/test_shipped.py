"""The shipped spaces: sound, and holding their references."""

from __future__ import annotations

import optuna
import pytest
from helpers.spaces import Recorder

from nas_incep.architecture import NOTEBOOK, Architecture
from nas_incep.spaces.counting import cost_range
from nas_incep.spaces.reader import read_space, shipped_spaces
from nas_incep.spaces.space import (
    VARIANTS,
    over_limits,
)

SHIPPED = ["nin_cifar", "nin_small", "notebook", "quick"]
# The images of the data sets that the shipped spaces are meant for.
IMAGES = {name: (1, 8, 8) if name == "quick" else (3, 32, 32) for name in SHIPPED}


def test_these_spaces_are_shipped() -> None:
    assert list(shipped_spaces()) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_spaces_are_sound_and_hold_their_references(name: str) -> None:
    space = read_space(name)
    assert space.name == name
    assert space.description
    assert read_space(str(shipped_spaces()[name])) == space
    for reference in space.references:
        arch = Architecture(
            reference["blocks"],
            **{key: reference[key] for key in VARIANTS},
            input_shape=IMAGES[name],
        )
        assert space.contains(arch)  # within the limits, too


@pytest.mark.parametrize("name", SHIPPED)
def test_sampled_architectures_are_members(name: str) -> None:
    space = read_space(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    low, high = zip(*cost_range(space, 10, IMAGES[name]).values())
    found = set()
    for _ in range(40):
        arch = space.sample(study.ask(), 10, IMAGES[name])
        found.add(arch.identity)
        assert arch.input_shape == IMAGES[name]
        assert space.outside(arch.blocks, vars(arch)) == []
        assert space.contains(arch) == (over_limits(space.limits, arch) == [])
        for value, least, most in zip((arch.parameters, arch.macs), low, high):
            assert least <= value <= most
    assert len(found) > 30


@pytest.mark.parametrize("name", SHIPPED)
def test_enqueued_references_come_back_from_a_study(name: str) -> None:
    space = read_space(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for parameters in space.reference_parameters():
        study.enqueue_trial(parameters)
    for reference, parameters in zip(space.references, space.reference_parameters()):
        trial = study.ask()
        arch = space.sample(trial, 10, IMAGES[name])
        assert trial.params == parameters  # each of them is asked for
        assert [list(block) for block in arch.blocks] == reference["blocks"]
        assert {key: getattr(arch, key) for key in VARIANTS} == {
            key: reference[key] for key in VARIANTS
        }


def test_the_notebook_is_the_first_reference_of_its_space() -> None:
    space = read_space("notebook")
    assert space.sample(Recorder(space.reference_parameters()[0]), 10, (3, 32, 32)) == NOTEBOOK
