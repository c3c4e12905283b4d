"""The packed form of a network is the same function, and gives the same training."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from helpers.networks import architectures, built
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nas_incep import datasets as data
from nas_incep._machine import has_bfloat16
from nas_incep.architecture import Architecture, Block
from nas_incep.datasets.batches import max_pool_3x3, normalization, training_batches
from nas_incep.engines.gluon import forms
from nas_incep.engines.gluon.networks import build_network
from nas_incep.engines.gluon.packed import PackedNetwork
from nas_incep.engines.gluon.resumable import ResumableTraining
from nas_incep.engines.gluon.runtime import mx
from nas_incep.engines.gluon.training import Training, evaluate, initialize
from nas_incep.errors import InputError
from nas_incep.recipe import Recipe, derive_seed

CPU = mx.cpu(0)
needs_bfloat16 = pytest.mark.skipif(
    not has_bfloat16(), reason="this processor does not multiply in bfloat16"
)
PRECISIONS = ["float32", pytest.param("bfloat16", marks=needs_bfloat16)]
DIGITS = Architecture(
    (Block(2, 8, 12, 10, 5, 8, 16), Block(1, 20, 9, 16, 4, 8, 8)), True, input_shape=(1, 8, 8)
)
RECIPE = Recipe(epochs=3, batch_size=32, learning_rate=0.05)


def packed(network: Any, precision: str = "float32", on_cpu: bool = True) -> Any:
    out = PackedNetwork(network.architecture, precision, on_cpu)
    out.initialize(ctx=CPU)
    out.load(network)
    return out


def values(network: Any) -> dict[str, np.ndarray]:
    return {k: p.data().asnumpy() for k, p in network._collect_params_with_prefix().items()}


def images(architecture: Architecture, count: int = 3) -> np.ndarray:
    shape = (count, *architecture.input_shape)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def arrays(network: Any, pixels: np.ndarray) -> list[Any]:
    return [mx.nd.array(part / 128.0 - 1) for part in network.inputs(pixels)]


def gradients(network: Any, inputs: list[Any]) -> dict[str, np.ndarray]:
    with mx.autograd.record():
        loss = (network(*inputs) ** 2).sum()
    loss.backward()
    trained = network._collect_params_with_prefix().items()
    return {k: p.grad().asnumpy() for k, p in trained if p.grad_req != "null"}


# Narrow units are padded to other blocks than wide ones.
ARCHITECTURES = architectures(st.sampled_from([8, 20]))


@settings(deadline=None, max_examples=25)
@given(ARCHITECTURES, st.booleans())
def test_the_packed_network_is_the_same_function(architecture: Architecture, on_cpu: bool) -> None:
    network = built(architecture)
    rng = np.random.default_rng(1)
    for name, parameter in network._collect_params_with_prefix().items():
        if name.endswith(("bias", "beta", "gamma", "running_mean")):
            parameter.set_data(mx.nd.array(rng.standard_normal(parameter.shape)))
        elif name.endswith("running_var"):
            parameter.set_data(mx.nd.array(0.5 + rng.random(parameter.shape)))
    before = values(network)
    form = packed(network, on_cpu=on_cpu)
    pixels = images(architecture)
    for training in (False, True):
        with mx.autograd.record(train_mode=training):
            expected = network(mx.nd.array(pixels / 128.0 - 1))
            found = form(*arrays(form, pixels))
        assert found.asnumpy() == pytest.approx(expected.asnumpy(), rel=1e-3, abs=1e-3)
    # Going backward moves the running statistics, of both alike.
    gradients(network, [mx.nd.array(pixels / 128.0 - 1)])
    gradients(form, arrays(form, pixels))
    copy = built(architecture, seed=2)
    form.store(copy)
    for name, array in values(network).items():
        moved = not np.array_equal(array, before[name])
        assert moved == ("running" in name)
        assert values(copy)[name] == pytest.approx(array, rel=1e-4, abs=1e-5), name


@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradients_are_those_of_the_network(batch_norm: bool) -> None:
    architecture = Architecture((Block(2, 8, 8, 12, 8, 5, 16), Block(1, 24, 16, 16, 8, 8, 8)))
    network = built(Architecture(architecture.blocks, batch_norm))
    # Rounding must not decide whether a ReLU is open: here all of them are.
    for name, parameter in network._collect_params_with_prefix().items():
        if name.endswith(("beta", "bias")):
            parameter.set_data(parameter.data() + 4)
        if name.endswith("gamma"):
            parameter.set_data(parameter.data() * 0.5)
    form = packed(network)
    pixels = images(network.architecture, 16)
    expected = gradients(network, [mx.nd.array(pixels / 128.0 - 1)])
    found = gradients(form, arrays(form, pixels))
    scale = max(np.linalg.norm(array) for array in expected.values())
    for part in form.layout.parts:
        if part.parameter in expected:
            difference = found[part.array][part.index] - expected[part.parameter]
            # Some gradients are zero but for rounding: what a later normalization takes off.
            tolerance = 0.01 * np.linalg.norm(expected[part.parameter]) + 1e-3 * scale
            assert np.linalg.norm(difference) < tolerance, part.parameter


@pytest.mark.parametrize("optimizer", ["sgd", "nag", "adam", "adadelta", "rmsprop"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_padded_channels_stay_zero(optimizer: str, precision: str) -> None:
    digits = data.load("digits")
    recipe = Recipe(epochs=1, batch_size=64, optimizer=optimizer, learning_rate=0.01)
    training = Training(build_network(DIGITS), digits, recipe, 0, CPU, precision)
    training.run_epoch()
    layout = training.form.training.layout
    padding = {name: np.ones(shape, bool) for name, shape in layout.shapes.items()}
    for part in layout.parts:
        padding[part.array][part.index] = False
    assert any(mask.any() for mask in padding.values())
    for name, array in values(training.form.training).items():
        # MXNet finds the variance out of its reciprocal, whose rounding is left over.
        least = 1e-6 if name.endswith("running_var") else 0.0
        assert (np.abs(array[padding[name]]) <= least).all(), name


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.05), ("adam", 0.01)])
def test_packed_training_goes_the_way_of_the_network_itself(
    optimizer: str, rate: float, precision: str
) -> None:
    # A few steps, for rounding grows with every one.
    recipe = Recipe(
        epochs=1, batch_size=32, images_per_epoch=128, optimizer=optimizer, learning_rate=rate
    )
    digits = data.load("digits")
    training = Training(build_network(DIGITS), digits, recipe, 0, CPU, precision)
    loss, _, count = training.train_epoch()
    tolerance = 1e-4 if precision == "float32" else 0.02
    assert loss / count == pytest.approx(plain_loss(digits, recipe), rel=tolerance)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_recorded_accuracy_is_the_networks_own(precision: str) -> None:
    # Evaluated in float32, however it was trained.
    digits = data.load("digits")
    training = Training(build_network(DIGITS), digits, RECIPE, 0, CPU, precision)
    curve = [training.run_epoch() for _ in range(RECIPE.epochs)]
    assert curve[-1].val_accuracy > 0.5
    normalize = normalization(digits)
    found = evaluate(training.network, digits.validation, normalize, CPU)
    assert found.correct == round(curve[-1].val_accuracy * found.images)
    scores = training.network(mx.nd.array(normalize(digits.validation.images))).asnumpy()
    right = int((scores.argmax(axis=1) == digits.validation.labels).sum())
    assert abs(right - found.correct) <= 1


def plain_loss(digits: data.Dataset, recipe: Recipe) -> float:
    """The mean loss of the same epoch of the network as it is, written out."""
    network = build_network(DIGITS)
    initialize(network, recipe.initializer, derive_seed(0, "init"), (1, 8, 8), CPU)
    settings = {"learning_rate": 0.0, "wd": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        settings["momentum"] = recipe.momentum
    trainer = mx.gluon.Trainer(network.collect_params(), recipe.optimizer, settings)
    cross_entropy, normalize = mx.gluon.loss.SoftmaxCrossEntropyLoss(), normalization(digits)
    seed, losses = derive_seed(0, "epoch", 0), []
    batches = training_batches(digits, recipe.batch_size, recipe.images_per_epoch, True, seed)
    for step, (batch, labels) in enumerate(batches):
        trainer.set_learning_rate(recipe.learning_rate_at(step, 4))
        with mx.autograd.record():
            loss = cross_entropy(network(mx.nd.array(normalize(batch))), mx.nd.array(labels))
        loss.backward()
        trainer.step(len(labels))
        losses.append(float(loss.mean().asscalar()))
    assert len(losses) == 4
    return sum(losses) / 4


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_restored_training_goes_on_to_the_same_figures(precision: str) -> None:
    digits = data.load("digits")

    def training() -> ResumableTraining:
        return ResumableTraining(build_network(DIGITS), digits, RECIPE, 3, CPU, precision)

    whole, first, second = training(), training(), training()
    expected = [whole.run_epoch() for _ in range(2)]
    first.run_epoch()
    second.restore(first.parameters(), first.optimizer_arrays(), 1)
    found = second.run_epoch()
    assert (found.loss, found.val_loss) == (expected[1].loss, expected[1].val_loss)
    ours, theirs = values(second.network), values(whole.network)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_only_the_cpu_takes_a_pooled_image() -> None:
    network = built(DIGITS)
    pixels = images(DIGITS)
    plain, pooled = packed(network, on_cpu=False), packed(network)
    assert len(plain.inputs(pixels)) == 1
    assert np.array_equal(pooled.inputs(pixels)[1], max_pool_3x3(pixels))


@needs_bfloat16
def test_bfloat16_is_near_but_not_the_same() -> None:
    network = built(DIGITS)
    pixels = images(DIGITS, 16)
    exact, short = packed(network), packed(network, "bfloat16")
    a, b = (form(*arrays(form, pixels)).asnumpy() for form in (exact, short))
    assert not np.array_equal(a, b)
    assert b == pytest.approx(a, abs=0.05 * np.abs(a).max() + 1e-3)


@needs_bfloat16
@pytest.mark.parametrize("batch_norm", [False, True])
def test_gradients_in_bfloat16_point_the_same_way(batch_norm: bool) -> None:
    blocks = (Block(1, 16, 8, 16, 8, 8, 16), Block(1, 16, 32, 16, 8, 32, 32))
    network = built(Architecture(blocks, batch_norm))
    form, pixels = packed(network, "bfloat16"), images(network.architecture, 64)
    form.hybridize(static_alloc=True, static_shape=True)
    expected = gradients(network, [mx.nd.array(pixels / 128.0 - 1)])
    found = gradients(form, arrays(form, pixels))
    for part in form.layout.parts:
        if part.parameter.endswith("weight"):
            ours, theirs = found[part.array][part.index], expected[part.parameter]
            cosine = (ours * theirs).sum() / np.linalg.norm(ours) / np.linalg.norm(theirs)
            assert cosine > 0.9, part.parameter


@pytest.mark.parametrize("precision", PRECISIONS)
@settings(deadline=None, max_examples=15)
@given(architecture=ARCHITECTURES)
def test_gradients_of_the_fused_operator_are_those_of_the_two(
    precision: str, architecture: Architecture
) -> None:
    channels, size, _ = architecture.input_shape
    architecture = dataclasses.replace(
        architecture, batch_norm=True, input_shape=(channels, size, size)
    )
    network = built(architecture)
    pixels = images(architecture)
    fused, two = packed(network, precision), packed(network, precision)
    if not fused.fused:
        pytest.skip("oneDNN knows no blocks of 16 channels here")
    two.fused = two.fused_head = False
    for form in (fused, two):
        form.hybridize(static_alloc=True, static_shape=True)
    # Where blocks of 8 and of 16 meet, MXNet fails with two.
    assume(all(shape[0] % 16 == 0 for shape in two.layout.shapes.values()))
    expected, found = (gradients(form, arrays(form, pixels)) for form in (two, fused))
    scale = max(np.linalg.norm(array) for array in expected.values())
    for name, array in expected.items():
        tolerance = 1e-3 * np.linalg.norm(array) + 1e-4 * scale
        assert np.linalg.norm(found[name] - array) <= tolerance, name


def test_a_device_is_refused_a_precision_that_it_has_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InputError, match=r"^--precision float16: .* on GPUs only, not on the cpu"):
        forms.check_precision("float16", CPU)
    with pytest.raises(InputError, match=r"^--precision bfloat16: .* not on gpu:1"):
        forms.check_precision("bfloat16", mx.gpu(1))
    monkeypatch.setattr(forms, "has_bfloat16", lambda: False)
    with pytest.raises(InputError, match="does not multiply in bfloat16"):
        forms.check_precision("bfloat16", CPU)
    forms.check_precision("float32", CPU)
