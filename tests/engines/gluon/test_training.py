"""Recipes, and training and evaluating small networks on scikit-learn's digits."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_incep import recipe
from nas_incep.architecture import Architecture, Block
from nas_incep.datasets import Dataset, Images, load
from nas_incep.datasets.batches import normalization
from nas_incep.engines.gluon.networks import build_network
from nas_incep.engines.gluon.runtime import mx
from nas_incep.engines.gluon.training import EVALUATION_BATCH, Diverged, Training, evaluate, train
from nas_incep.errors import InputError
from nas_incep.recipe import RECIPES, Recipe, derive_seed, get_recipe
from nas_incep.records import EpochResult

CPU = mx.cpu(0)
TINY = Architecture((Block(1, 8, 8, 8, 8, 8, 8),), True, input_shape=(1, 8, 8))
# Every setting that decides whether these networks learn, whatever the package's own defaults.
BRIEF = Recipe(
    epochs=4,
    batch_size=32,
    optimizer="sgd",
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="one_cycle",
    augment=False,
    initializer="msra",
)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


def without_times(curve: list[EpochResult]) -> list[EpochResult]:
    return [dataclasses.replace(point, train_seconds=0, eval_seconds=0) for point in curve]


# Training.


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_small_network_learns_the_digits(digits: Dataset, batch_norm: bool) -> None:
    network = build_network(dataclasses.replace(TINY, batch_norm=batch_norm))
    seen: list[EpochResult] = []
    curve = train(network, digits, BRIEF, 1, CPU, seen.append)
    assert curve == seen
    assert [point.epoch for point in curve] == [1, 2, 3, 4]
    assert curve[-1].val_accuracy > 0.9  # guessing has 0.1
    assert curve[-1].loss < curve[0].loss
    assert {point.images for point in curve} == {1200 // 32 * 32}
    # What the last epoch reports is the state the network is left in.
    found = evaluate(network, digits.validation, normalization(digits), CPU)
    assert found.accuracy == curve[-1].val_accuracy
    assert found.loss == pytest.approx(curve[-1].val_loss, rel=1e-5)


def test_equal_seeds_give_equal_curves_and_others_do_not(digits: Dataset) -> None:
    settings = dataclasses.replace(BRIEF, epochs=2, images_per_epoch=256)

    def curve(seed: int) -> list[EpochResult]:
        return without_times(train(build_network(TINY), digits, settings, seed, CPU))

    first = curve(5)
    assert curve(5) == first
    assert curve(6) != first


def test_an_epoch_can_be_cut_short(digits: Dataset) -> None:
    settings = dataclasses.replace(BRIEF, epochs=1, images_per_epoch=100)
    (point,) = train(build_network(TINY), digits, settings, 0, CPU)
    assert point.images == 96


@pytest.mark.parametrize("optimizer", recipe.OPTIMIZERS)
def test_every_optimizer_takes_a_step(digits: Dataset, optimizer: str) -> None:
    settings = dataclasses.replace(BRIEF, epochs=1, images_per_epoch=64, optimizer=optimizer)
    training = Training(build_network(TINY), digits, settings, 0, CPU)
    weight = training.network.output[0].conv1.weight
    before = weight.data().asnumpy()
    training.run_epoch()
    assert np.abs(weight.data().asnumpy() - before).max() > 0


@pytest.mark.parametrize("name", RECIPES)
def test_every_preset_trains(digits: Dataset, name: str) -> None:
    settings = get_recipe(name, epochs=1, images_per_epoch=128)
    (point,) = train(build_network(TINY), digits, settings, 0, CPU)
    assert point.images == 128
    assert math.isfinite(point.val_loss)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_diverging_training_is_reported(digits: Dataset, batch_norm: bool) -> None:
    settings = dataclasses.replace(
        BRIEF, learning_rate=1e30, schedule="constant", images_per_epoch=256
    )
    network = build_network(dataclasses.replace(TINY, batch_norm=batch_norm))
    with pytest.raises(Diverged, match=r"not finite|loss is (nan|inf)"):
        train(network, digits, settings, 0, CPU)


def test_a_lost_parameter_that_relu_hides_is_found(digits: Dataset) -> None:
    settings = dataclasses.replace(BRIEF, images_per_epoch=64)
    training = Training(build_network(TINY), digits, settings, 0, CPU)
    training.run_epoch()
    training.network.features[0][0].p1_conv_1[1].gamma.data()[0] = math.nan
    training.form.load()
    with pytest.raises(Diverged):
        training.run_epoch()


def test_progress_reports_grow_up_to_an_epochs_images(digits: Dataset) -> None:
    settings = dataclasses.replace(BRIEF, epochs=1, batch_size=32)
    seen: list[int] = []
    Training(build_network(TINY), digits, settings, 0, CPU).run_epoch(seen.append)
    assert seen
    assert seen == sorted(set(seen))
    assert seen[-1] < 1200


# Evaluation.


@pytest.mark.parametrize("count", [1, 7, EVALUATION_BATCH, EVALUATION_BATCH + 1, 300])
def test_evaluation_counts_every_image_once(digits: Dataset, count: int) -> None:
    # The last batch is filled up with images that must not count.
    network = build_network(TINY)
    mx.random.seed(1)
    network.initialize(mx.init.MSRAPrelu())
    part = Images(digits.validation.images[:count], digits.validation.labels[:count])
    normalize = normalization(digits)
    scores = network(mx.nd.array(normalize(part.images))).asnumpy().astype(np.float64)
    log_sums = np.log(np.exp(scores - scores.max(axis=1, keepdims=True)).sum(axis=1))
    losses = log_sums + scores.max(axis=1) - scores[np.arange(count), part.labels]
    found = evaluate(network, part, normalize, CPU)
    assert found.images == count
    assert found.correct == (scores.argmax(axis=1) == part.labels).sum()
    assert found.loss == pytest.approx(losses.mean(), rel=1e-4)
    assert found.accuracy == found.correct / count


# Recipes.

fractions = st.floats(0, 0.5)


@given(steps=st.integers(20, 5000), warmup=fractions, peak=st.floats(1e-6, 10))
def test_one_cycle_rises_to_its_peak_and_falls_to_nearly_zero(
    steps: int, warmup: float, peak: float
) -> None:
    cycle = Recipe(learning_rate=peak, warmup=warmup, schedule="one_cycle")
    rates = [cycle.learning_rate_at(step, steps) for step in range(steps)]
    assert min(rates) > 0
    assert max(rates) <= peak
    assert max(rates) > 0.95 * peak
    assert rates[-1] < 0.05 * peak
    top = rates.index(max(rates))
    assert abs(top + 1 - warmup * steps) <= 1
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


@given(steps=st.integers(1, 20), warmup=st.floats(0, 1, exclude_max=True))
def test_every_step_of_a_short_training_learns(steps: int, warmup: float) -> None:
    cycle = Recipe(learning_rate=0.1, warmup=warmup, schedule="one_cycle")
    for step in range(steps):
        assert 0 < cycle.learning_rate_at(step, steps) <= 0.1


def test_a_constant_rate_is_constant() -> None:
    flat = Recipe(learning_rate=0.2, schedule="constant")
    assert {flat.learning_rate_at(step, 50) for step in range(50)} == {0.2}


@pytest.mark.parametrize(
    "field, value, rule",
    [
        ("epochs", 0, "a positive integer"),
        ("epochs", True, "a positive integer"),
        ("batch_size", 1.5, "a positive integer"),
        ("batch_size", None, "a positive integer"),
        ("images_per_epoch", -1, "a positive integer"),
        ("images_per_epoch", 31, "at least one batch of 128"),
        ("learning_rate", -0.1, "a number from 0 to below inf"),
        ("learning_rate", math.inf, "a number from 0 to below inf"),
        ("learning_rate", math.nan, "a number from 0 to below inf"),
        ("learning_rate", "0.1", "a number from 0 to below inf"),
        ("momentum", 1, "a number from 0 to below 1"),
        ("decay", True, "a number from 0 to below 1"),
        ("weight_decay", 1.0, "a number from 0 to below 1"),
        ("warmup", 1.5, "a number from 0 to below 1"),
        ("optimizer", "lamb", "one of sgd, nag, adam, adadelta, rmsprop"),
        ("schedule", "step", "one of one_cycle, constant"),
        ("initializer", None, "one of msra, xavier, normal, pretrained"),
    ],
)
def test_each_fault_of_a_recipe_is_named(field: str, value: Any, rule: str) -> None:
    with pytest.raises(InputError) as error:
        dataclasses.replace(Recipe(), **{field: value})
    assert str(error.value) == f"recipe brief: {field} is {value!r}: {rule} is expected"


def test_all_faults_of_a_recipe_are_named_at_once() -> None:
    with pytest.raises(InputError) as error:
        Recipe(name="mine", epochs=0, momentum=2, optimizer="none")
    assert str(error.value).startswith("recipe mine: epochs is 0")
    assert str(error.value).count(" is expected") == 3


def test_presets_can_be_changed_and_unknown_names_list_them() -> None:
    assert get_recipe("notebook").optimizer == "adadelta"
    changed = get_recipe("brief", epochs=7, batch_size=None)
    assert changed == dataclasses.replace(Recipe(), epochs=7)
    with pytest.raises(InputError, match="'long'; the recipes are brief, notebook, notebook_rms"):
        get_recipe("long")


def test_recipes_go_through_json() -> None:
    for preset in RECIPES.values():
        assert Recipe(**json.loads(json.dumps(preset.to_json()))) == preset


# Seeds.


def test_seeds_differ_by_purpose_and_stay_the_same() -> None:
    purposes = [
        (),
        ("init",),
        *(("epoch", n) for n in range(50)),
        *(("trial", n) for n in range(50)),
    ]
    seeds = {derive_seed(search, *purpose) for search in range(20) for purpose in purposes}
    assert len(seeds) == 20 * len(purposes)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert derive_seed(0, "trial", 7) == derive_seed(0, "trial", 7) == 681317022
