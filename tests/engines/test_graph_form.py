"""Graphs from elsewhere: what is wrong with one is said in words, and plain names are trained."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.engines import ENGINES, TORCH

from nas_incep import datasets
from nas_incep._params import read_params
from nas_incep.engines import load_engine
from nas_incep.engines.base import Job
from nas_incep.errors import InputError
from nas_incep.recipe import Recipe
from nas_incep.records import BASELINE, Subject

SHAPE = (1, 8, 8)


def variable(name: str) -> dict[str, Any]:
    return {"op": "null", "name": name, "inputs": []}


def node(op: str, *inputs: int, **attributes: str) -> dict[str, Any]:
    sources = [[number, 0, 0] for number in inputs]
    return {"op": op, "name": op.lower(), "attrs": attributes, "inputs": sources}


def refusal_of(engine: str, spec: str) -> str:
    """What an engine says of a baseline that it does not take."""
    with pytest.raises(InputError) as refusal:
        load_engine(engine).check_baseline(spec, 10, SHAPE)
    return str(refusal.value)


STATISTICS = ("gamma", "beta", "running_mean", "running_var")
GRAPH: dict[str, Any] = {
    "nodes": [
        variable("data"),
        variable("net_conv0_weight"),
        node("Convolution", 0, 1, kernel="(3, 3)", num_filter="4", no_bias="True", stride="(2, 2)"),
        *(variable(f"net_batchnorm0_{kind}") for kind in STATISTICS),
        node("BatchNorm", 2, 3, 4, 5, 6, fix_gamma="False"),
        node("Activation", 7, act_type="relu"),
        variable("net_dense0_weight"),
        variable("net_dense0_bias"),
        node("FullyConnected", 8, 9, 10, num_hidden="10"),
    ],
    "heads": [[11, 0, 0]],
}


def baseline(folder: Path, graph: Any) -> str:
    (folder / "net-symbol.json").write_text(json.dumps(graph))
    return str(folder / "net")


def without(key: str, number: int | None = None) -> dict[str, Any]:
    graph = copy.deepcopy(GRAPH)
    del (graph if number is None else graph["nodes"][number])[key]
    return graph


def changed(number: int, **values: Any) -> dict[str, Any]:
    graph = copy.deepcopy(GRAPH)
    graph["nodes"][number].update(values)
    return graph


def with_attribute(number: int, key: str, value: str) -> dict[str, Any]:
    graph = copy.deepcopy(GRAPH)
    graph["nodes"][number]["attrs"][key] = value
    return graph


NOT = "not a valid graph: "
TWO = "two integers from 1 on are expected, for the height and the width"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ({}, NOT + "it has no list of nodes"),
        ({**GRAPH, "nodes": [7]}, NOT + "node 0 is not a JSON object"),
        (without("heads"), NOT + "it has no heads, which name its output"),
        ({**GRAPH, "heads": []}, NOT + "it has no heads, which name its output"),
        ({**GRAPH, "heads": [[-1, 0, 0]]}, NOT + "its head is node -1 of 12"),
        (without("name", 1), NOT + "node 1 has no name that is a text"),
        (without("op", 2), NOT + "node 2 has no op that is a text"),
        (without("inputs", 2), NOT + "node convolution has no inputs that are pairs of numbers"),
        (changed(2, attrs=7), NOT + "the attrs of node convolution are not a JSON object"),
        (changed(0, name="image"), "it has no input named data, as Gluon names the images"),
        (with_attribute(2, "stride", "(0, 0)"), f"Convolution has stride (0, 0): {TWO}"),
        (with_attribute(2, "stride", "(-1, -1)"), f"Convolution has stride (-1, -1): {TWO}"),
        (with_attribute(2, "kernel", "(3, 3, 3)"), f"Convolution has kernel (3, 3, 3): {TWO}"),
        (with_attribute(2, "kernel", "wide"), f"Convolution has kernel wide: {TWO}"),
    ],
)
def test_what_is_wrong_with_a_graph_is_said_in_words(
    engine: str, graph: Any, said: str, tmp_path: Path
) -> None:
    assert refusal_of(engine, baseline(tmp_path, graph)).endswith(f"net-symbol.json: {said}")


@pytest.mark.parametrize("engine", [TORCH])
@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ({**GRAPH, "heads": [[8, 3, 0]]}, "node activation has no output 3, the head"),
        (changed(8, attrs={}), "Activation has no act_type"),
        (changed(9, name="net_conv0_weight"), "net_conv0_weight: used twice"),
    ],
)
def test_what_pytorch_lacks_in_a_graph_is_said_in_words(
    engine: str, graph: Any, said: str, tmp_path: Path
) -> None:
    assert refusal_of(engine, baseline(tmp_path, graph)).endswith(f"net-symbol.json: {said}")


def trained(engine: str, spec: str, folder: Path) -> tuple[list[float], dict[str, np.ndarray]]:
    """The losses of a brief training, resumed after its first epoch, and the parameters."""
    loaded = load_engine(engine)
    loaded.check_baseline(spec, 10, SHAPE)
    recipe = Recipe(epochs=2, batch_size=32, images_per_epoch=64)
    subject = Subject(BASELINE, None, "net", 1)
    data, checkpoint = datasets.load("digits"), folder / "checkpoint"
    job = Job(subject, data, recipe, "cpu", "float32", checkpoint, spec)
    with loaded.start(job) as training:
        next(training.epochs(lambda images: False))
    with loaded.start(job) as training:
        losses = [point.loss for point in training.epochs(lambda images: False)]
        training.save(folder / "weights")
    return losses, read_params(folder / "weights", 1 << 20)


@pytest.mark.parametrize("engine", [TORCH])
def test_parameters_without_places_are_trained_by_both_engines(engine: str, tmp_path: Path) -> None:
    """As `HybridBlock.export` names them."""
    spec = baseline(tmp_path, GRAPH)
    folders = [tmp_path / name for name in ("gluon", engine)]
    for folder in folders:
        folder.mkdir()
    (losses, arrays), (others, theirs) = (trained(f.name, spec, f) for f in folders)
    assert len(losses) == 2 and np.allclose(losses, others, rtol=1e-4)
    assert arrays.keys() == theirs.keys()
    assert "net_batchnorm0_running_var" in arrays
    for name, array in arrays.items():
        assert np.allclose(array, theirs[name], atol=1e-4), name


@pytest.mark.parametrize("engine", ENGINES)
def test_normalizations_without_places_start_in_constants(engine: str, tmp_path: Path) -> None:
    spec = baseline(tmp_path, GRAPH)
    subject, data = Subject(BASELINE, None, "net", 1), datasets.load("digits")
    job = Job(subject, data, Recipe(epochs=1), "cpu", "float32", tmp_path / "checkpoint", spec)
    arrays = load_engine(engine).begin(job).parameters()
    starts = [set(arrays[f"net_batchnorm0_{kind}"].tolist()) for kind in STATISTICS]
    assert starts == [{1.0}, {0.0}, {0.0}, {1.0}]
    assert set(arrays["net_dense0_bias"].tolist()) == {0.0}
