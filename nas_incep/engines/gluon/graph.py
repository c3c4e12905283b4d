"""Networks from graphs in symbol JSON, as HybridBlocks.

MXNet's own reader trusts what a file says. Here every operator is made by the function that makes
it for a layer of Gluon, which checks its attributes; and what a stranger's graph would allocate is
bounded.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from ..._text import gist, plain
from ...errors import InputError
from ..graph_form import check_graph
from ..specs import CLASSES, FIXED, MAX_PARAMETERS, MAX_PLACE, MAX_VALUES
from .runtime import mx

# Those of the zoos' networks and a few more that only compute on what they are given. MXNet has
# hundreds; some of them take addresses, or write where their inputs tell.
OPERATORS = frozenset(
    {
        "Activation",
        "BatchNorm",
        "Concat",
        "Convolution",
        "Dropout",
        "Flatten",
        "FullyConnected",
        "InstanceNorm",
        "LayerNorm",
        "LeakyReLU",
        "Pooling",
        "Reshape",
        "SliceChannel",
        "_contrib_BilinearResize2D",
        "_copy",
        "_div_scalar",
        "_maximum_scalar",
        "_minimum_scalar",
        "_minus_scalar",
        "_mul_scalar",
        "_plus_scalar",
        "_power_scalar",
        "_rdiv_scalar",
        "_rminus_scalar",
        "abs",
        "broadcast_add",
        "broadcast_div",
        "broadcast_mul",
        "broadcast_sub",
        "clip",
        "elemwise_add",
        "elemwise_div",
        "elemwise_mul",
        "elemwise_sub",
        "exp",
        "expand_dims",
        "log",
        "log_softmax",
        "max",
        "mean",
        "relu",
        "sigmoid",
        "softmax",
        "sqrt",
        "square",
        "sum",
        "tanh",
        "transpose",
    }
)
_CONTRIB = "_contrib_"

gluon: Any = mx.gluon


class GraphNetwork(gluon.SymbolBlock):
    """A network from a graph: images `(batch, channels, h, w)` to class scores `(batch, classes)`.

    Its parameters are named as the variables of the graph. `symbol` is the graph in MXNet's form.
    """

    def __init__(self, graph: dict[str, Any], source: str, classes: int) -> None:
        """Raises InputError, naming `source`, if it is not a graph of known operators."""
        try:
            variables, symbol = _build(graph, classes)
            rules = {name: attributes.get("__init__") for name, attributes in variables.items()}
            fixed = {name for name, attributes in variables.items() if FIXED in attributes}
            with warnings.catch_warnings():
                # That it does not know the type of the data.
                warnings.simplefilter("ignore", UserWarning)
                super().__init__(symbol, [mx.sym.var("data")])
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        except (LookupError, TypeError, ValueError, AttributeError, AssertionError) as error:
            words = f"{type(error).__name__}: {plain(gist(error))}"
            raise InputError(f"{source}: not a valid graph: {words}") from None
        except mx.base.MXNetError as error:
            raise InputError(f"{source}: not a valid graph: {gist(error)}") from None
        self.symbol, self.source = symbol, source
        for name, parameter in self.params.items():
            parameter.init = rules.get(name)
            if name in fixed:
                parameter.grad_req = "null"

    def require_bounded(self, image_shape: tuple[int, int, int]) -> None:
        """Raises InputError if one image would need very much memory, MXNetError for a misfit."""
        inside = self.symbol.get_internals()
        _, shapes, _ = infer_shapes(inside, (1, *image_shape))
        own = set(self.params.keys())
        parameters, largest = 0, 0
        for name, size in zip(inside.list_outputs(), map(math.prod, shapes)):
            parameters += size if name in own else 0
            largest = max(largest, 0 if name in own else size)
        if parameters > MAX_PARAMETERS or largest > MAX_VALUES:
            raise InputError(
                f"{self.source}: {parameters:,} parameters, and up to {largest:,} values of an "
                f"image; at most {MAX_PARAMETERS:,} and {MAX_VALUES:,} are expected"
            )

    def _collect_params_with_prefix(self, prefix: str = "") -> dict[str, Any]:
        """As Gluon does: the parameters by their places, which are their names in the graph."""
        behind = f"{prefix}." if prefix else ""
        return {f"{behind}{name}": parameter for name, parameter in self.params.items()}


def _build(graph: dict[str, Any], classes: int) -> tuple[dict[str, dict[str, str]], Any]:
    """The attributes of a graph's variables by name, and the graph as MXNet's symbol."""
    variables: dict[str, dict[str, str]] = {}
    made: list[Any] = []
    check_graph(graph)
    for node in graph["nodes"]:
        name, found = node["name"], dict(node.get("attrs", {}))
        if len(name) > MAX_PLACE:
            raise InputError(f"a name has more than {MAX_PLACE} characters")
        if node["op"] == "null":
            variables[name] = found
            made.append(mx.sym.var(name))
            continue
        inputs = [_output(made, *source[:2]) for source in node["inputs"]]
        counts = str(found.get(CLASSES, "")).split(",")
        attributes = {
            key: str(classes if key in counts else value)
            for key, value in found.items()
            if not key.startswith("__") and key != "num_args"  # which MXNet counts by itself
        }
        made.append(_operator(node["op"])(*inputs, name=name, **attributes))
    return variables, _output(made, *graph["heads"][0][:2])


def _output(made: list[Any], index: int, number: int) -> Any:
    """The output of a node that is made already."""
    if not 0 <= index < len(made) or number < 0:
        raise InputError(f"node {len(made)} reads one that comes after it")
    return made[index][number]


def _operator(name: str) -> Callable[..., Any]:
    """The function of `mxnet.symbol` for an operator."""
    if name not in OPERATORS:
        raise InputError(f"the operator {plain(name[:80])} is not known")
    if name.startswith(_CONTRIB):
        return _function(mx.sym.contrib, name[len(_CONTRIB) :])
    return _function(mx.sym._internal if name[0] == "_" else mx.sym, name)


def _function(module: Any, name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(module, name)
    return found


def infer_shapes(symbol: Any, shape: tuple[int, ...]) -> tuple[list[Any], list[Any], list[Any]]:
    """The shapes of a graph's parameters, outputs and statistics for images of `shape`.

    `shape` is (batch, channels, height, width). Raises MXNetError, or InputError if the images do
    not tell the shape of a parameter.
    """
    found = symbol.infer_shape(data=shape)
    if found[0] is None:
        partial = symbol.infer_shape_partial(data=shape)[0]
        unknown = [
            name
            for name, known in zip(symbol.list_arguments(), partial)
            if not known or 0 in known or -1 in known
        ]
        named = f" {unknown[0]}" if unknown else ""
        raise InputError(f"the shape of its parameter{named} cannot be inferred")
    shapes: tuple[list[Any], list[Any], list[Any]] = found
    return shapes
