"""Baselines: networks of the model zoos and from files, for a data set's images and classes."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from typing import Any

from ..._text import gist
from ...errors import InputError
from ...rates import groups_of, rate_scale
from ...zoo_network import ZooNetwork
from ..base import BaselineFacts
from ..converted import converted_path, read_graph
from ..specs import (
    INCEPTION3,
    INCEPTION3_STOCK,
    parse_baseline,
    require_fit,
    signature,
)
from ..starting_values import check_pretrained, check_rules
from .graph import GraphNetwork, infer_shapes
from .runtime import mx

nn: Any = mx.gluon.nn


class Resized(nn.HybridBlock):
    """A network behind a bilinear resize of `(batch, c, h, w)` to `(batch, c, size, size)`."""

    def __init__(self, network: Any, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        with self.name_scope():
            self.network = network

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        return self.network(F.contrib.BilinearResize2D(x, height=self.size, width=self.size))


def find_baseline(spec: str) -> tuple[str, int | None]:
    """As `parse_baseline`; also raises InputError if the zoos have no network of that name."""
    name, size = parse_baseline(spec)
    if converted_path(spec):
        return name, size
    if name != INCEPTION3 and name not in _zoo():
        close = difflib.get_close_matches(name, _zoo(), n=5) or ["cifar_resnet20_v1", "resnet18_v1"]
        raise InputError(
            f"baseline {spec}: the model zoo has no {name!r}; perhaps {', '.join(close)}"
        )
    return name, size


def build_baseline(spec: str, classes: int, input_shape: tuple[int, int, int]) -> Any:
    """The network of a baseline, initialized and tested on one image.

    `input_shape` is `(channels, height, width)`. Raises InputError if it does not fit the images.
    """
    size = find_baseline(spec)[1]
    what = f"baseline {spec}"
    return _ready(lambda: network_at(spec, classes, size), what, size, classes, input_shape)


def network_of(described: ZooNetwork, source: str) -> Any:
    """The network that a bundle describes, likewise. Raises InputError, naming `source`."""
    size, classes = parse_baseline(described.name)[1], described.classes
    return _ready(
        lambda: GraphNetwork(described.graph, source, classes),
        source,
        size,
        classes,
        described.input_shape,
    )


def _ready(
    make: Callable[[], Any],
    source: str,
    size: int | None,
    classes: int,
    input_shape: tuple[int, int, int],
) -> Any:
    try:
        network = make()
        if isinstance(network, GraphNetwork):
            network.require_bounded(at_size(input_shape, size))
        if size:
            network = Resized(network, size, prefix="resized_")
        network.initialize(init=mx.init.Uniform())  # Xavier refuses vectors without a rule
        out = network(mx.nd.zeros((1, *input_shape)))
        out.wait_to_read()
    except InputError:
        raise
    except Exception as error:  # the zoo's constructors raise various errors
        shape = "x".join(map(str, input_shape))
        raise InputError(f"{source} does not fit images of {shape}: {_reason(error)}") from None
    if out.shape != (1, classes):
        raise InputError(f"{source} is not a classifier: its output has shape {out.shape}")
    return network


def at_size(image_shape: tuple[int, int, int], size: int | None) -> tuple[int, int, int]:
    """The shape of images behind a resize to `size` pixels; with None they keep theirs."""
    channels, height, width = image_shape
    return (channels, size, size) if size else (channels, height, width)


def without_resize(network: Any) -> Any:
    """The network itself, if it is behind a resize."""
    return network.network if isinstance(network, Resized) else network


def parameters_by_place(network: Any) -> dict[str, Any]:
    """The parameters by their place in the network, which may be behind a resize."""
    return dict(without_resize(network)._collect_params_with_prefix())


def array_shapes(network: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of an initialized network's parameters by place."""
    named = parameters_by_place(network)
    return {place: parameter.shape for place, parameter in named.items()}


def check_baseline(spec: str, classes: int, image_shape: tuple[int, int, int]) -> BaselineFacts:
    """See `engines.base.Engine`. Shapes are inferred, so nothing is computed."""
    size = find_baseline(spec)[1]
    try:
        graph = _graph_of(spec, classes, size)
    except InputError:
        raise
    except Exception:  # it cannot be traced, or its constructor fails
        network = build_baseline(spec, classes, image_shape)
        return BaselineFacts(spec, rate_scale(array_shapes(network)))

    def misfit(pixels: int | None) -> str:
        try:
            traced = graph if pixels == size else _graph_of(spec, classes, pixels)
            _, (found, *_), _ = infer_shapes(traced, (1, *at_size(image_shape, pixels)))
        except Exception as error:  # likewise
            return _reason(error)
        return "" if found == (1, classes) else f"its output has the shape {found}"

    require_fit(spec, image_shape, misfit)
    check_pretrained(
        spec, lambda: array_shapes(build_baseline(spec, classes, image_shape)), classes
    )
    found, _, running = infer_shapes(graph, (1, *at_size(image_shape, size)))
    names = (*graph.list_arguments(), *graph.list_auxiliary_states())
    shapes = {name: shape for name, shape in zip(names, (*found, *running)) if name != "data"}
    path = converted_path(spec)
    if path:  # its variables are named as parameters are
        check_rules(spec, shapes, _rules(read_graph(path)))
    written = json.loads(graph.tojson())
    same = signature(written, size, image_shape)
    return BaselineFacts(same, rate_scale(shapes, groups_of(written)))


def _rules(graph: dict[str, Any]) -> dict[str, str]:
    """The initializers that a graph's variables ask for."""
    variables = (node for node in graph["nodes"] if node["op"] == "null")
    return {node["name"]: node.get("attrs", {}).get("__init__", "") for node in variables}


def _graph_of(spec: str, classes: int, size: int | None) -> Any:
    return network_at(spec, classes, size)(mx.sym.Variable("data"))


def _reason(error: Exception) -> str:
    """MXNet's reason in one line, without its C++ traceback and the place in its source."""
    if not str(error).strip():
        return type(error).__name__
    line = gist(error)
    return line.partition("Check failed: ")[2].rpartition(": ")[2] or line


def network_at(spec: str, classes: int, size: int | None) -> Any:
    """A baseline's network for images of a size in pixels (None: any), not yet initialized.

    It is of a zoo or from a file. Raises InputError.
    """
    path = converted_path(spec)
    if path:
        return GraphNetwork(read_graph(path), str(path), classes)
    return stock_network(find_baseline(spec)[0], classes, size)


def stock_network(name: str, classes: int | None, size: int | None) -> Any:
    """The zoo's network for images of its own size, as `find_baseline` names it.

    With None for the classes it has the zoo's own ones, and the parameters that the zoo publishes.
    """
    options = {"pretrained": True} if classes is None else {"classes": classes, "pretrained": False}
    if name == INCEPTION3:
        return _inception3(size or INCEPTION3_STOCK, options)
    return _zoo()[name](**options)


def _inception3(size: int, options: dict[str, Any]) -> Any:
    """The zoo's Inception3; at sizes other than the stock one, its last pooling is global."""
    network = mx.gluon.model_zoo.vision.inception_v3(**options)
    if size != INCEPTION3_STOCK:
        features = nn.HybridSequential(prefix="")
        for layer in network.features:
            features.add(nn.GlobalAvgPool2D() if isinstance(layer, nn.AvgPool2D) else layer)
        network.features = features
    return network


def _zoo() -> dict[str, Any]:
    """GluonCV's networks by name; they include the classifiers of MXNet's own zoo."""
    from .zoo import gluoncv_models

    return gluoncv_models()
