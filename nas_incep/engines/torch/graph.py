"""Networks of MXNet's model zoos on PyTorch: a module that interprets their symbol JSON.

The variables of the graph are named as Gluon's `save_parameters` names the network's parameters.
A graph may come from a stranger: it only selects among the operators in `operators`, and what it
would allocate is bounded.
"""

from __future__ import annotations

import ast
import math
from typing import Any

from ..._text import counted, gist, plain
from ...errors import InputError
from ..graph_form import check_graph
from ..specs import CLASSES, FIXED, MAX_PARAMETERS, MAX_PLACE, MAX_VALUES
from .operators import KINDS, OPERATORS, WEIGHT_AND_BIAS, Refused
from .runtime import torch

nn: Any = torch.nn
F: Any = nn.functional


class Misfit(InputError):
    """A sound graph whose network does not fit the images or the classes, and why."""

    def __init__(self, source: str, image_shape: tuple[int, ...], reason: str) -> None:
        shape = "x".join(map(str, image_shape))
        super().__init__(f"{source}: does not fit images of {shape}: {reason}")
        self.reason = reason


class _Unfit(Exception):
    """The reason of a Misfit."""


class GraphNetwork(nn.Module):
    """A zoo's network: images `(batch, channels, h, w)` to class scores `(batch, classes)`.

    With `size`, the images are first resized to that many pixels, bilinearly. `rules` has the
    initializers that the network asks for, `macs` the multiply-accumulates for one image.
    """

    def __init__(
        self,
        graph: dict[str, Any],
        source: str,
        classes: int,
        image_shape: tuple[int, int, int],
        size: int | None = None,
    ) -> None:
        """Raises InputError, naming `source`: for a sound graph that does not fit, a Misfit."""
        super().__init__()
        self.size, self.macs = size, 0
        self.rules: dict[str, str] = {}
        self._parameters_left = MAX_PARAMETERS
        # The names of parameters in the graph, by those in this module where they differ.
        self._outside: dict[str, str] = {}
        # What `forward` does: (function, places of the inputs, place of the first output).
        self._steps: list[tuple[Any, list[int], list[int]]] = []
        try:
            self._build(graph, classes, image_shape)
        except _Unfit as error:
            raise Misfit(source, image_shape, str(error)) from None
        except Refused as error:
            raise InputError(f"{source}: {plain(error)}") from None
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            words = f"{type(error).__name__}: {plain(gist(error))}"
            raise InputError(f"{source}: not a valid graph: {words}") from None
        except RuntimeError as error:
            raise Misfit(source, image_shape, plain(str(error).partition("\n")[0])) from None

    def forward(self, x: Any) -> Any:
        if self.size:
            x = F.interpolate(x, (self.size, self.size), mode="bilinear", align_corners=True)
        values: list[Any] = [None] * self._places
        values[0] = x
        for function, inputs, outputs in self._steps:
            result = function(*[values[place] for place in inputs])
            if len(outputs) == 1:
                values[outputs[0]] = result
            else:
                for place, part in zip(outputs, result):
                    values[place] = part
        return values[self._output]

    def arrays(self) -> dict[str, Any]:
        """The parameters and statistics by name."""
        return {self._outside.get(name, name): array for name, array in self.state_dict().items()}

    def _build(self, graph: dict[str, Any], classes: int, shape: tuple[int, int, int]) -> None:
        check_graph(graph)
        nodes = graph["nodes"]
        size = (self.size, self.size) if self.size else shape[1:]
        # The value of each output while the graph runs once on tensors without storage.
        known: list[Any] = [torch.empty(2, shape[0], *size, device="meta")]
        place_of: dict[tuple[int, int], int] = {}
        for index, node in enumerate(nodes):
            if node["op"] == "null":
                if node["name"] == "data":
                    place_of[index, 0] = 0
                continue
            sources = [(int(i), int(out)) for i, out, *_ in node["inputs"]]
            if any(not 0 <= i < index for i, _ in sources):
                raise Refused(f"node {str(node['name'])[:80]} reads one that comes after it")
            inputs = [place_of[s] for s in sources if s in place_of]
            variables = [nodes[i] for i, out in sources if (i, out) not in place_of]
            if any(variable["op"] != "null" for variable in variables):
                raise Refused(f"node {str(node['name'])[:80]} reads what its source does not give")
            found = node.get("attrs", {})
            counts = str(found.get(CLASSES, "")).split(",")
            attributes = {
                key: classes if key in counts else _value(value)
                for key, value in found.items()
                if not key.startswith("__")
            }
            function = self._function(node["op"], attributes, variables, [known[p] for p in inputs])
            with torch.no_grad():
                result = function.to_meta()(*[known[p] for p in inputs])
            results = list(result) if isinstance(result, (tuple, list)) else [result]
            if sum(value.numel() for value in results) > 2 * MAX_VALUES:
                raise Refused(f"{node['op']} makes more than {MAX_VALUES:,} values of an image")
            outputs = [len(known) + k for k in range(len(results))]
            place_of.update({(index, k): place for k, place in enumerate(outputs)})
            known += results
            self._count_macs(node["op"], function, results[0])
            self._steps.append((function, inputs, outputs))
        self._places = len(known)
        head = graph["heads"][0]
        if (head[0], head[1]) not in place_of:
            raise Refused(f"node {nodes[head[0]]['name'][:80]} has no output {head[1]}, the head")
        self._output = place_of[head[0], head[1]]
        scores = tuple(known[self._output].shape)
        if scores != (2, classes):
            raise _Unfit(f"its output has the shape {scores[1:]}, not ({classes},)")

    def _function(
        self, op: str, attributes: dict[str, Any], variables: list[Any], inputs: list[Any]
    ) -> Any:
        """The operator of a node, with its parameters."""
        if op not in OPERATORS:
            raise Refused(f"the operator {str(op)[:80]} is not known")
        try:
            operator = OPERATORS[op](attributes, inputs)
        except KeyError as error:
            raise Refused(f"{op} has no {error.args[0]}") from None
        except IndexError:
            raise Refused(
                f"{op} has fewer inputs, or inputs of fewer dimensions, than expected"
            ) from None
        shapes = operator.shapes
        if len(variables) != len(shapes):
            raise Refused(f"{op} has {counted(len(variables), 'parameter')}, not {len(shapes)}")
        for variable, shape in zip(variables, shapes):
            self._parameters_left -= math.prod(shape)
            if min(shape) < 1 or self._parameters_left < 0:
                raise _Unfit(f"{op} has parameters of the impossible shape {shape}")
            rule = variable.get("attrs", {}).get("__init__", "")
            if rule:
                self.rules[variable["name"]] = rule
        if shapes:
            path, names = self._named(op, [variable["name"] for variable in variables])
            operator.create(names)
            for variable, name in zip(variables, names):
                if FIXED in variable.get("attrs", {}):
                    getattr(operator.module, name).requires_grad_(False)
            self._place(path, operator.module)
        elif operator.module is not None:  # dropout, which training mode switches on
            self.add_module(f"without_parameters_{len(self._steps)}", operator.module)
        return operator

    def _named(self, op: str, variables: list[str]) -> tuple[str, list[str]]:
        """The place of an operator's parameters in this module, and their names there."""
        if any(len(name) > MAX_PLACE for name in variables):
            raise Refused(f"a parameter's name has more than {MAX_PLACE} characters")
        path, _, _ = variables[0].rpartition(".")
        if any(name.rpartition(".")[0] != path for name in variables):
            raise Refused(f"the parameters of one {op} are in different places")
        if path:
            return path, [name.rpartition(".")[2] for name in variables]
        # `HybridBlock.export` names parameters without places, as `conv0_weight`.
        path, names = f"without_place_{len(self._steps)}", list(KINDS.get(op, WEIGHT_AND_BIAS))
        for inside, name in zip(names, variables):
            if name in self._outside.values():
                raise Refused(f"{name}: used twice")
            self._outside[f"{path}.{inside}"] = name
        return path, names[: len(variables)]

    def _place(self, path: str, module: Any) -> None:
        """Makes a module a part of this one at a path such as `features.0`."""
        *parents, last = path.split(".")
        parent = self
        for name in parents:
            if name not in parent._modules:
                parent.add_module(name, nn.Module())
            parent = parent._modules[name]
        if last in parent._modules and parent._modules[last] is not module:
            raise Refused(f"{path}: used twice")
        parent.add_module(last, module)

    def _count_macs(self, op: str, operator: Any, result: Any) -> None:
        if op in ("Convolution", "FullyConnected"):
            self.macs += math.prod(operator.shapes[0]) * math.prod(result.shape[2:])


def _value(text: Any) -> Any:
    """The value of an attribute, which MXNet writes as Python does: `(3, 3)`, `True`, `relu`."""
    try:
        return ast.literal_eval(str(text)[:1000])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return str(text)
