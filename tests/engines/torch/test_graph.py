"""The zoos' networks compute on PyTorch what they compute on MXNet."""

from __future__ import annotations

import copy

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
from nas_incep.engines.torch.training import initialize  # noqa: E402
from nas_incep.errors import InputError  # noqa: E402

# One of each family, with the largest relative difference of outputs, statistics and gradients.
FAMILIES = [
    ("alexnet@64", 1e-4),
    ("vgg11@32", 1e-4),
    ("vgg11_bn@32", 1e-3),
    ("squeezenet1.0@224", 1e-4),
    ("densenet121@224", 5e-2),
    ("mobilenet0.25@32", 1e-3),
    ("mobilenetv2_0.25@64", 1e-2),
    ("resnet18_v1@32", 1e-3),
    ("resnet18_v2@32", 1e-3),
    ("inception3@75", 1e-2),
    ("cifar_resnet20_v1", 1e-3),
    ("cifar_resnet20_v2", 1e-3),
    ("cifar_wideresnet16_10", 1e-3),
    ("cifar_resnext29_16x64d", 2e-2),
]
SHAPE = (3, 32, 32)
BATCH = 4


def relative(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max() / (np.abs(other).max() + 1e-6))


@pytest.mark.parametrize(("spec", "tolerance"), FAMILIES)
def test_outputs_gradients_and_statistics_are_gluons(spec: str, tolerance: float) -> None:
    images = np.random.default_rng(0).standard_normal((BATCH, *SHAPE), dtype=np.float32)
    theirs = build_gluon(spec, 10, SHAPE)
    initialize_gluon(theirs, "xavier", 1, SHAPE, mx.cpu())
    ours = baselines.build_baseline(spec, 10, SHAPE)
    initialize(ours, "xavier", 1)
    named = {
        name.removeprefix("network."): parameter
        for name, parameter in theirs._collect_params_with_prefix().items()
    }
    assert list(named) == list(ours.arrays()) or set(named) == set(ours.arrays())
    for name, array in ours.arrays().items():
        assert np.array_equal(array.numpy(), named[name].data().asnumpy()), name
    assert ours.macs == count_macs(theirs, SHAPE)
    trainable = sum(p.numel() for p in ours.parameters() if p.requires_grad)
    assert trainable == count_parameters(theirs)

    x, pixels = mx.nd.array(images), torch.from_numpy(images)
    assert relative(ours.eval()(pixels).detach().numpy(), theirs(x).asnumpy()) < tolerance
    for module in ours.modules():
        if isinstance(module, torch.nn.Dropout):
            return  # the masks differ, so there is nothing to compare in training
    with mx.autograd.record():
        scores = theirs(x)
        loss = (scores * scores).sum()
    loss.backward()
    output = ours.train()(pixels)
    (output * output).sum().backward()
    assert relative(output.detach().numpy(), scores.asnumpy()) < tolerance
    gradients = {name: p for name, p in ours.named_parameters() if p.requires_grad}
    scale = max(float(p.grad.abs().max()) for p in gradients.values())
    for name, parameter in gradients.items():
        difference = np.abs(parameter.grad.numpy() - named[name].grad().asnumpy()).max()
        assert difference < tolerance * scale, name
    for name, array in ours.named_buffers():
        # The biased variance is Training's matter. On a CPU, MXNet updates statistics only in a
        # backward pass, which the first layer of a ResNet v2, on the images, does not have.
        place, _, kind = name.rpartition(".")
        if kind == "running_mean" and f"{place}.beta" in gradients:
            assert np.allclose(array.numpy(), named[name].data().asnumpy(), atol=1e-4), name


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
        ("num_filter", "1e999", "not a valid graph: OverflowError"),
        ("num_group", "0", "not a valid graph: ZeroDivisionError"),
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
