"""The zoos' networks compute on PyTorch what they compute on MXNet."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from helpers.commands import run_cli  # noqa: E402

from nas_incep.engines.gluon.baselines import build_baseline as build_gluon  # noqa: E402
from nas_incep.engines.gluon.networks import count_macs, count_parameters  # noqa: E402
from nas_incep.engines.gluon.runtime import mx  # noqa: E402
from nas_incep.engines.gluon.training import initialize as initialize_gluon  # noqa: E402
from nas_incep.engines.specs import parse_baseline  # noqa: E402
from nas_incep.engines.torch import baselines  # noqa: E402
from nas_incep.engines.torch.graph import GraphNetwork  # noqa: E402
from nas_incep.engines.torch.training import _Statistics, initialize  # noqa: E402
from nas_incep.errors import InputError  # noqa: E402

nn: Any = mx.gluon.nn
# One of each family.
FAMILIES = [
    "alexnet@64",
    "vgg11@32",
    "vgg11_bn@32",
    "squeezenet1.0@224",
    "densenet121@224",
    "mobilenet0.25@32",
    "mobilenetv2_0.25@64",
    "resnet18_v1@32",
    "resnet18_v2@32",
    "inception3@75",
    "cifar_resnet20_v1",
    "cifar_resnet20_v2",
    "cifar_wideresnet16_10",
    "cifar_resnext29_32x4d",
]
# What takes long in float64 has the smallest batch that a normalization can learn from.
SLOW = ("squeezenet1.0@224", "densenet121@224", "cifar_wideresnet16_10", "cifar_resnext29_32x4d")
SHAPE = (3, 32, 32)
BATCH = 4


def relative(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max() / (np.abs(other).max() + 1e-6))


def pair(spec: str, shape: tuple[int, int, int]) -> tuple[Any, dict[str, Any], Any]:
    """The network of Gluon, its parameters by their names here, and that of PyTorch."""
    theirs = build_gluon(spec, 10, shape)
    initialize_gluon(theirs, "xavier", 1, shape, mx.cpu())
    ours = baselines.build_baseline(spec, 10, shape)
    initialize(ours, "xavier", 1)
    named = {
        name.removeprefix("network."): parameter
        for name, parameter in theirs._collect_params_with_prefix().items()
    }
    return theirs, named, ours


def random_images(count: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, *shape))


@pytest.mark.parametrize("spec", FAMILIES)
def test_parameters_costs_and_outputs_are_gluons(spec: str) -> None:
    theirs, named, ours = pair(spec, SHAPE)
    assert set(named) == set(ours.arrays())
    for name, array in ours.arrays().items():
        assert np.array_equal(array.numpy(), named[name].data().asnumpy()), name
    assert ours.macs == count_macs(theirs, SHAPE)
    trainable = sum(p.numel() for p in ours.parameters() if p.requires_grad)
    assert trainable == count_parameters(theirs)
    images = random_images(BATCH, SHAPE).astype(np.float32)
    with torch.no_grad():
        found = ours.eval()(torch.from_numpy(images)).numpy()
    assert relative(found, theirs(mx.nd.array(images)).asnumpy()) < 2e-5


def without_dropout(theirs: Any, ours: Any) -> None:
    """Sets its probability to 0: each framework has masks of its own."""
    theirs.apply(lambda block: isinstance(block, nn.Dropout) and setattr(block, "_rate", 0))
    for module in ours.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


@pytest.mark.parametrize("spec", FAMILIES)
def test_training_is_gluons(spec: str) -> None:
    """In float64, on images of the network's size, since MXNet's resize computes in float32.

    In float32 Inception3's gradients would differ by a tenth: with a last map of 1x1 the
    normalizations of a small batch amplify what is rounded.
    """
    size = parse_baseline(spec)[1] or SHAPE[1]
    shape = (3, size, size)
    theirs, named, ours = pair(spec, shape)
    without_dropout(theirs, ours)
    theirs.cast("float64")
    ours.double()
    images = random_images(2 if spec in SLOW else BATCH, shape)
    with mx.autograd.record():
        scores = theirs(mx.nd.array(images, dtype="float64"))
        (scores * scores).sum().backward()
    with _Statistics(ours, len(images), shape).as_in_pytorch():
        output = ours.train()(torch.from_numpy(images))
        (output * output).sum().backward()
    assert relative(output.detach().numpy(), scores.asnumpy()) < 1e-9
    gradients = {name: p for name, p in ours.named_parameters() if p.requires_grad}
    scale = max(float(p.grad.abs().max()) for p in gradients.values())
    for name, parameter in gradients.items():
        difference = np.abs(parameter.grad.numpy() - named[name].grad().asnumpy()).max()
        assert difference < 1e-8 * scale, name
    for name, array in ours.named_buffers():
        # On a CPU, MXNet updates statistics only in a backward pass, which the first layer of a
        # ResNet v2, on the images, does not have. Its momentum is 0.9 in float32.
        if f"{name.rpartition('.')[0]}.beta" in gradients:
            assert relative(array.numpy(), named[name].data().asnumpy()) < 1e-6, name


@pytest.mark.parametrize("spec", ["inception3@75", "cifar_resnet20_v1"])
def test_the_graphs_that_ship_are_those_that_mxnet_writes(spec: str) -> None:
    name, _ = parse_baseline(spec)
    done = run_cli("graph", spec)
    assert (baselines.GRAPHS / f"{name}.json").read_text() == done.stdout


@pytest.mark.parametrize(("operator", "told"), [("Erase", "Erase"), ("a\nb\x1b", r"a\\nb\\x1b")])
def test_an_unknown_operator_is_named(operator: str, told: str) -> None:
    graph = copy.deepcopy(baselines.find_graph("cifar_resnet20_v1"))
    for node in graph["nodes"]:
        if node["op"] == "Activation":
            node["op"] = operator
    with pytest.raises(InputError, match=f"^it: the operator {told} is not known$"):
        GraphNetwork(graph, "it", 10, SHAPE)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("inception3@74", "at least 75 pixels"),
        ("nothing_like_it", "the model zoo has no 'nothing_like_it'"),
        ("a b", "NAME or NAME@SIZE is expected"),
    ],
)
def test_what_is_no_baseline_is_refused_in_one_sentence(spec: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        baselines.find_graph(spec)


def test_images_that_are_too_small_are_told() -> None:
    with pytest.raises(InputError, match="does not fit images of 1x8x8"):
        baselines.build_baseline("vgg11", 10, (1, 8, 8))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("pad", "(9999, 9999)", "Convolution makes more than 67,108,864 values of an image"),
        ("num_filter", "1e999", "Convolution has num_filter 1e999: an integer from 1 to .*"),
        ("num_group", "0", "Convolution has num_group 0: an integer from 1 to .*"),
        (None, "a." * 101 + "weight", "a parameter's name has more than 200 characters"),
    ],
)
def test_what_a_graph_would_take_is_bounded(key: str | None, value: str, said: str) -> None:
    graph = copy.deepcopy(baselines.find_graph("cifar_resnet20_v1"))
    variable, convolution = graph["nodes"][1:3]
    if key:
        convolution["attrs"][key] = value
    else:
        variable["name"] = value
    with pytest.raises(InputError, match=f"^it: {said}$"):
        GraphNetwork(graph, "it", 10, SHAPE)
