"""The network of an architecture as an ONNX graph, written without a framework.

Its input `pixels` is uint8 `(batch, channels, height, width)`, as images are stored; the
normalization is the graph's first step. Its outputs are `scores` and `probabilities`, both
`(batch, classes)` float32; the batch may have any size.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..architecture import Architecture
from ..datasets.batches import Normalization
from ..errors import InputError
from ..stages import Convolution, Stage, head_stages, unit_stages

INPUT, SCORES, PROBABILITIES = "pixels", "scores", "probabilities"
# Old enough for any runtime in use: of 2021 and 2022.
OPSET, IR_VERSION = 13, 8
EPSILON = 1e-5  # of batch normalization, as in both engines
MAX_BYTES = 2**31 - (1 << 20)  # a message of protobuf has less than 2 GB


@dataclass
class _Graph:
    """The nodes and constants so far."""

    arrays: dict[str, np.ndarray]  # the network's parameters by name
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(self, op: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Appends a node; the name of its one output is that of the node."""
        self.nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, array: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def parameter(self, name: str) -> str:
        return self.constant(name, self.arrays[name])


def onnx_model(
    architecture: Architecture,
    arrays: dict[str, np.ndarray],
    normalize: Normalization,
    classes: Sequence[str],
) -> onnx.ModelProto:
    """The ONNX model of a network, checked by `onnx.checker`.

    `arrays` are its parameters by name, as `read_weights` returns them. The names of the classes
    are in the model's metadata, as a JSON list. Raises InputError if the model would be too large.
    """
    size = sum(array.nbytes for array in arrays.values())
    if size > MAX_BYTES:
        raise InputError(
            f"--onnx: the network has {size:,} bytes of parameters, a file holds {MAX_BYTES:,}"
        )
    graph = _Graph(arrays)
    x = _normalized(graph, normalize)
    for block, units in enumerate(unit_stages(architecture)):
        for number, unit in enumerate(units):
            x = _unit(graph, unit, x, f"features.{block}.{number}")
        place = f"features.{block}.{len(units)}"
        x = graph.add("MaxPool", [x], place, kernel_shape=[2, 2], strides=[2, 2])
    x = graph.add("GlobalAveragePool", [_head(graph, architecture, x)], "output.1")
    scores = graph.add("Flatten", [x], SCORES, axis=1)
    graph.add("Softmax", [scores], PROBABILITIES, axis=1)
    model = _model(graph, architecture)
    helper.set_model_props(
        model,
        {"classes": json.dumps(list(classes)), "identity": architecture.identity},
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _model(graph: _Graph, architecture: Architecture) -> onnx.ModelProto:
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", architecture.classes])
        for name in (SCORES, PROBABILITIES)
    ]
    pixels = helper.make_tensor_value_info(
        INPUT, TensorProto.UINT8, ["batch", *architecture.input_shape]
    )
    whole = helper.make_graph(graph.nodes, "nas_incep", [pixels], outputs, graph.constants)
    return helper.make_model(
        whole,
        producer_name="nas_incep",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )


def _normalized(graph: _Graph, normalize: Normalization) -> str:
    """The same steps with the same float32 constants as in training."""
    scale = graph.constant("input.scale", normalize.scale)
    shift = graph.constant("input.shift", normalize.shift)
    values = graph.add("Cast", [INPUT], "input.float", to=TensorProto.FLOAT)
    scaled = graph.add("Mul", [values, scale], "input.scaled")
    return graph.add("Sub", [scaled, shift], "input.normalized")


def _unit(graph: _Graph, unit: Stage, x: str, place: str) -> str:
    pooled = graph.add(
        *("MaxPool", [x], f"{place}.p4_pool_3"), kernel_shape=[3, 3], pads=[1, 1, 1, 1]
    )
    ends = []
    for branch, out in zip(unit.branches, (x, x, x, pooled)):
        for convolution in branch:
            out = _convolved(graph, convolution, out)
            if convolution.norm:
                out = _batch_norm(graph, convolution, out)
            out = graph.add("Relu", [out], f"{convolution.layer}.relu")
        ends.append(out)
    return graph.add("Concat", ends, place, axis=1)


def _head(graph: _Graph, architecture: Architecture, x: str) -> str:
    """The pre-activated residual unit; see `stages.head_stages`."""
    first, second, *shortcut = (stage.convolutions[0] for stage in head_stages(architecture))
    stride = 1 if architecture.same_shape else 2
    out = x
    for convolution, its_stride in ((first, stride), (second, 1)):
        out = _batch_norm(graph, convolution, out)
        out = graph.add("Relu", [out], f"{convolution.layer}.relu")
        out = _convolved(graph, convolution, out, its_stride)
    for convolution in shortcut:
        x = _convolved(graph, convolution, x, stride)
    out = graph.add("Add", [out, x], "output.0.sum")
    return graph.add("Relu", [out], "output.0.relu") if architecture.relu_output else out


def _convolved(graph: _Graph, convolution: Convolution, x: str, stride: int = 1) -> str:
    names = [t.name for t in (convolution.weight, convolution.bias) if t is not None]
    return graph.add(
        "Conv",
        [x, *map(graph.parameter, names)],
        convolution.layer,
        kernel_shape=[convolution.kernel] * 2,
        pads=[convolution.kernel // 2] * 4,
        strides=[stride] * 2,
    )


def _batch_norm(graph: _Graph, convolution: Convolution, x: str) -> str:
    # gamma, beta, running mean and variance: the order in which ONNX has them, too.
    inputs = [x, *(graph.parameter(tensor.name) for tensor in convolution.norm)]
    return graph.add("BatchNormalization", inputs, f"{convolution.layer}.norm", epsilon=EPSILON)
