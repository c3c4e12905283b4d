"""Networks from graphs in files: what Gluon makes of them, and what a stranger's graph may do."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.engines import ENGINES

from nas_incep.engines import load_engine
from nas_incep.engines.gluon.baselines import array_shapes, build_baseline, parameters_by_place
from nas_incep.engines.gluon.graph import OPERATORS, GraphNetwork, _operator
from nas_incep.engines.gluon.runtime import mx
from nas_incep.engines.gluon.symbols import export_graph
from nas_incep.engines.gluon.training import initialize
from nas_incep.engines.specs import parse_baseline
from nas_incep.errors import InputError
from nas_incep.zoo_network import ZooNetwork

SHAPE = (3, 32, 32)
GRAPH = export_graph("cifar_resnet20_v1")


def written(folder: Path, spec: str) -> str:
    """A zoo's network as a baseline from a file."""
    name, size = parse_baseline(spec)
    (folder / f"{name}-symbol.json").write_text(json.dumps(export_graph(spec)))
    return f"{folder}/{name}@{size}" if size else f"{folder}/{name}"


@pytest.mark.parametrize(
    "spec",
    [
        *("inceptionv3@75", "cifar_resnet20_v1", "resnet18_v2", "mobilenetv2_1.0"),
        "alexnet@64",
    ],
)
def test_gluon_computes_with_a_graph_as_with_the_zoos_layers(spec: str, tmp_path: Path) -> None:
    """The same parameters, and outputs and gradients but for the order of sums; dropout as well."""
    specs = spec, written(tmp_path, spec)
    facts = [load_engine("gluon").check_baseline(each, 7, SHAPE) for each in specs]
    assert facts[0] == facts[1]
    networks = [build_baseline(each, 7, SHAPE) for each in specs]
    for network in networks:
        initialize(network, "xavier", 3, SHAPE, mx.cpu())
    layers, graph = (parameters_by_place(network) for network in networks)
    assert {name: p.grad_req for name, p in layers.items()} == {
        name: p.grad_req for name, p in graph.items()
    }
    images = mx.nd.array(np.random.default_rng(0).standard_normal((2, *SHAPE), np.float32))
    outputs = []
    for network in networks:
        network.hybridize()  # as in a training
        mx.random.seed(1)
        with mx.autograd.record():
            scores = network(images)
        scores.backward()
        outputs.append((scores.asnumpy(), network(images).asnumpy()))
    for theirs, ours in zip(*outputs):
        assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()
    for name, parameter in layers.items():
        assert np.array_equal(parameter.data().asnumpy(), graph[name].data().asnumpy()), name
        if parameter.grad_req != "null":
            ours, theirs = graph[name].grad().asnumpy(), parameter.grad().asnumpy()
            assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max() + 1e-9, name


@pytest.mark.parametrize(
    ("operator", "told"),
    [
        *(("Erase", "Erase"), ("Custom", "Custom"), ("_Native", "_Native"), ("load", "load")),
        *(("scatter_nd", "scatter_nd"), ("multi_sgd_update", "multi_sgd_update")),
        *(("_contrib_dgl_adjacency", "_contrib_dgl_adjacency"), ("a\nb", r"a\\nb")),
    ],
)
def test_gluon_takes_operators_of_layers_alone(operator: str, told: str) -> None:
    graph = copy.deepcopy(GRAPH)
    for node in graph["nodes"]:
        if node["op"] == "Activation":
            node["op"] = operator
    with pytest.raises(InputError, match=f"^it: the operator {told} is not known$"):
        GraphNetwork(graph, "it", 10)


def test_gluon_has_the_operators_of_pytorch() -> None:
    pytest.importorskip("torch")
    from nas_incep.engines.torch.operators import OPERATORS as OTHERS

    assert OTHERS.keys() <= OPERATORS
    for name in OPERATORS:
        assert callable(_operator(name))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("Convolution", {"kernel": "(3, 3)", "num_filter": "8", "num_group": "0"}),
        ("Convolution", {"kernel": "(3, 3)", "num_filter": "0"}),
        ("Convolution", {"kernel": "(0, 0)", "num_filter": "8"}),
        ("Convolution", {"kernel": "(3, 3)", "num_filter": "8", "stride": "(0, 0)"}),
        ("Convolution", {"kernel": "(3, 3)", "num_filter": "8", "dilate": "(0, 0)"}),
        ("SliceChannel", {"num_outputs": "1000000000", "axis": "1"}),
        ("SliceChannel", {"num_outputs": "0", "axis": "1"}),
        ("FullyConnected", {"num_hidden": "-1"}),
        ("Pooling", {"kernel": "(0, 0)", "pool_type": "avg"}),
        ("Pooling", {"kernel": "(2, 2)", "stride": "(0, 0)", "pool_type": "max"}),
        ("Reshape", {"shape": "(0, 0, 0, 0, 0, 0)"}),
        ("Reshape", {"shape": "(-1, -1)"}),
        ("Reshape", {"shape": "(99999999999, 3)"}),
        ("transpose", {"axes": "(9, 9, 9, 9)"}),
        ("expand_dims", {"axis": "99"}),
        ("mean", {"axis": "99"}),
        ("softmax", {"axis": "77"}),
        ("Concat", {"dim": "9"}),
        ("_div_scalar", {"scalar": "0"}),
        ("LeakyReLU", {"act_type": "rrelu", "slope": "1e999"}),
        ("Dropout", {"p": "7"}),
        ("BatchNorm", {"axis": "9", "eps": "0"}),
        ("LayerNorm", {"axis": "9"}),
        ("_contrib_BilinearResize2D", {"height": "0", "width": "0"}),
        ("_contrib_BilinearResize2D", {"height": "-5", "width": "99999999"}),
        ("clip", {"a_min": "1e999", "a_max": "-1"}),
        ("max", {"axis": "(9, 9)"}),
    ],
)
def test_no_attribute_of_an_operator_ends_the_process(
    engine: str, operator: str, attributes: dict[str, str]
) -> None:
    """In this process: what would crash, crashes the tests."""
    variables = {"Convolution": 2, "FullyConnected": 2, "LayerNorm": 2, "BatchNorm": 4}.get(
        operator, 0
    )
    names = [f"a.{kind}" for kind in ("x", "weight", "bias", "c", "d")]
    nodes: list[dict[str, Any]] = [{"op": "null", "name": "data", "inputs": []}]
    nodes += [{"op": "null", "name": name, "inputs": []} for name in names[1 : variables + 1]]
    inputs = [[k, 0, 0] for k in range(len(nodes))]
    nodes.append({"op": operator, "name": "it", "attrs": attributes, "inputs": inputs})
    last = len(nodes) - 1
    nodes.append({"op": "Flatten", "name": "flat", "inputs": [[last, 0, 0]]})
    graph = {"nodes": nodes, "heads": [[last + 1, 0, 0]]}
    try:
        network = build(engine, graph)
    except InputError as error:
        assert "\n" not in str(error)
        return
    network(np.zeros((1, *SHAPE), np.float32))


def build(engine: str, graph: dict[str, Any]) -> Any:
    """The network of a stranger's graph, as a function of arrays of images."""
    if engine == "torch":
        torch = pytest.importorskip("torch")
        from nas_incep.engines.torch.graph import GraphNetwork as TorchNetwork

        network = TorchNetwork(graph, "graph", 10, SHAPE).eval()
        return lambda images: network(torch.from_numpy(images)).detach().numpy()
    from nas_incep.engines.gluon.baselines import network_of

    built = network_of(ZooNetwork("it", 10, SHAPE, 1, 1, graph), "graph")
    assert array_shapes(built)
    return lambda images: built(mx.nd.array(images)).asnumpy()


@pytest.mark.parametrize("engine", ENGINES)
def test_any_damage_of_a_graph_is_one_sentence(engine: str) -> None:
    text, rng = json.dumps(GRAPH), random.Random(0)
    values: list[Any] = ["999999999", "1e999", "0", "(9999, 9999)", "-1", "(1,)", "None"]
    values += ["classes", "(3, 3, 3)", "__import__", [], {}, None, 7]
    for _ in range(90):
        graph = json.loads(text)
        node = rng.choice(graph["nodes"])
        change = rng.randrange(5)
        if change == 0 and node.get("attrs"):
            node["attrs"][rng.choice(list(node["attrs"]))] = rng.choice(values)
        elif change == 1 and node["inputs"]:
            node["inputs"][0] = [rng.randrange(-5, 500), rng.randrange(3)]
        elif change == 2:
            node["op"] = rng.choice(["Concat", "FullyConnected", "null", "BatchNorm", "Pooling"])
        elif change == 3:
            node.setdefault("attrs", {})[rng.choice(["name", "out", "attr", "x"])] = "x"
        else:
            node.pop(rng.choice(list(node)))
        try:
            network = build(engine, graph)
        except InputError as error:
            assert str(error).startswith("graph"), error
            assert "\n" not in str(error)
            continue
        assert network(np.zeros((1, *SHAPE), np.float32)).shape == (1, 10)
