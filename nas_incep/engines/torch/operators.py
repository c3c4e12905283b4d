"""MXNet's operators as PyTorch computes them, for the graphs of image classifiers.

Each class takes a node's attributes and its inputs, tensors without storage. `shapes` are those of
its parameters, `create` makes a `module` that holds them, and a call computes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .networks import BatchNorm
from .runtime import torch

nn: Any = torch.nn
F: Any = nn.functional


# What the parameters of an operator are, in the order of its inputs.
KINDS = {"BatchNorm": ("gamma", "beta", "running_mean", "running_var")}
WEIGHT_AND_BIAS = ("weight", "bias")


class Refused(Exception):
    """A graph that cannot be interpreted, and why."""


class Operator:
    """An operator without parameters: a function of its inputs."""

    shapes: tuple[tuple[int, ...], ...] = ()
    module: Any = None

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def create(self, names: list[str]) -> None:
        """Makes the parameters, of these names, in a module of their own."""

    def __call__(self, *inputs: Any) -> Any:
        return self._function(*inputs)

    def to_meta(self) -> Callable[..., Any]:
        """The same on tensors without storage."""
        return self


class _Weighted(Operator):
    """An operator with parameters, which are held by a module of its own."""

    def create(self, names: list[str]) -> None:
        self.module, self._names = nn.Module(), names
        for name, shape in zip(names, self.shapes):
            self.module.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        self._held = [getattr(self.module, name) for name in names]

    def __call__(self, x: Any) -> Any:
        return self._function(x, *self._held)

    def to_meta(self) -> Callable[..., Any]:
        held = [torch.empty(shape, device="meta") for shape in self.shapes]
        return lambda x: self._function(x, *held)


class Convolution(_Weighted):
    def __init__(self, attributes: dict[str, Any], inputs: list[Any]) -> None:
        kernel = _pair(attributes["kernel"])
        groups, outputs = int(attributes.get("num_group", 1)), int(attributes["num_filter"])
        weight = (outputs, inputs[0].shape[1] // groups, *kernel)
        bias = () if attributes.get("no_bias", False) else ((outputs,),)
        self.shapes = (weight, *bias)
        options = {
            "stride": _pair(attributes.get("stride", 1)),
            "padding": _pair(attributes.get("pad", 0)),
            "dilation": _pair(attributes.get("dilate", 1)),
            "groups": groups,
        }
        super().__init__(lambda x, *arrays: F.conv2d(x, *arrays, **options))


class FullyConnected(_Weighted):
    def __init__(self, attributes: dict[str, Any], inputs: list[Any]) -> None:
        flat = attributes.get("flatten", True)
        shape = inputs[0].shape
        features = shape[1:].numel() if flat else shape[-1]
        outputs = int(attributes["num_hidden"])
        bias = () if attributes.get("no_bias", False) else ((outputs,),)
        self.shapes = ((outputs, features), *bias)
        super().__init__(lambda x, *a: F.linear(x.flatten(1) if flat else x, *a))


class PReLU(_Weighted):
    def __init__(self, attributes: dict[str, Any], inputs: list[Any]) -> None:
        self.shapes = ((inputs[0].shape[1],),)
        super().__init__(F.prelu)


class Normalization(Operator):
    """MXNet ignores the stored gamma with `fix_gamma`, its default, as is an epsilon of 1e-3."""

    def __init__(self, attributes: dict[str, Any], inputs: list[Any]) -> None:
        if attributes.get("axis", 1) != 1:
            raise Refused("BatchNorm over another axis than the channels is not known")
        channels = inputs[0].shape[1]
        self.shapes = ((channels,),) * 4
        self._channels, self._fixed = channels, attributes.get("fix_gamma", True)
        self._frozen = attributes.get("use_global_stats", False)
        self._settings = float(attributes.get("eps", 1e-3)), float(attributes.get("momentum", 0.9))

    def create(self, names: list[str]) -> None:
        if tuple(names) != KINDS["BatchNorm"]:
            raise Refused(f"BatchNorm's parameters are named {', '.join(names)[:80]}")
        epsilon, momentum = self._settings
        self.module = BatchNorm(self._channels, epsilon, 1 - momentum, self._frozen)
        self.module.gamma.requires_grad_(not self._fixed)

    def __call__(self, x: Any) -> Any:
        return self.module(x)

    def to_meta(self) -> Callable[..., Any]:
        return torch.empty_like


def _pair(value: Any) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2:
        raise Refused(f"{pair}: only images of two dimensions are expected")
    return int(pair[0]), int(pair[1])


def _pooling(attributes: dict[str, Any], inputs: list[Any]) -> Operator:
    kind = attributes.get("pool_type", "max")
    if kind not in ("max", "avg"):
        raise Refused(f"pooling of the type {str(kind)[:80]} is not known")
    if attributes.get("global_pool", False):
        whole = {"max": F.adaptive_max_pool2d, "avg": F.adaptive_avg_pool2d}[kind]
        return Operator(lambda x: whole(x, 1))
    convention = attributes.get("pooling_convention", "valid")
    if convention not in ("valid", "full"):
        raise Refused(f"the pooling convention {str(convention)[:80]} is not known")
    places = (
        _pair(attributes["kernel"]),
        _pair(attributes.get("stride", 1)),
        _pair(attributes.get("pad", 0)),
    )
    upwards = convention == "full"
    if kind == "max":
        return Operator(lambda x: F.max_pool2d(x, *places, ceil_mode=upwards))
    padded = bool(attributes.get("count_include_pad", True))
    return Operator(lambda x: F.avg_pool2d(x, *places, ceil_mode=upwards, count_include_pad=padded))


_ACTIVATIONS = {
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softrelu": F.softplus,
    "softsign": F.softsign,
}


def _activation(attributes: dict[str, Any], inputs: list[Any]) -> Operator:
    kind = attributes["act_type"]
    if kind not in _ACTIVATIONS:
        raise Refused(f"the activation {str(kind)[:80]} is not known")
    return Operator(_ACTIVATIONS[kind])


def _leaky(attributes: dict[str, Any], inputs: list[Any]) -> Operator:
    kind, slope = attributes.get("act_type", "leaky"), float(attributes.get("slope", 0.25))
    if kind == "prelu":
        return PReLU(attributes, inputs)
    functions = {
        "leaky": lambda x: F.leaky_relu(x, slope),
        "elu": lambda x: F.elu(x, slope),
        "selu": F.selu,
        "gelu": F.gelu,
    }
    if kind not in functions:
        raise Refused(f"the activation {str(kind)[:80]} is not known")
    return Operator(functions[kind])


class _Dropout(Operator):
    """Its masks are PyTorch's own, so trainings with dropout differ between the engines."""

    def __init__(self, attributes: dict[str, Any], inputs: list[Any]) -> None:
        self.module = nn.Dropout(float(attributes.get("p", 0.5)))
        super().__init__(self.module)


def _mean(attributes: dict[str, Any], inputs: list[Any]) -> Operator:
    axis, keep = attributes.get("axis"), bool(attributes.get("keepdims", False))
    if attributes.get("exclude", False) or axis is None:
        raise Refused("a mean over all or over other axes is not known")
    return Operator(lambda x: x.mean(axis, keepdim=keep))


def _split(attributes: dict[str, Any], inputs: list[Any]) -> Operator:
    count, axis = int(attributes["num_outputs"]), int(attributes.get("axis", 1))
    if attributes.get("squeeze_axis", False):
        return Operator(lambda x: x.unbind(axis))
    return Operator(lambda x: x.chunk(count, axis))


def _of(function: Callable[..., Any]) -> Callable[..., Operator]:
    return lambda attributes, inputs: Operator(function)


def _scalar(function: Callable[..., Any]) -> Callable[..., Operator]:
    def operator(attributes: dict[str, Any], inputs: list[Any]) -> Operator:
        number = float(attributes["scalar"])
        return Operator(lambda x: function(x, number))

    return operator


def _concat(attributes: dict[str, Any], inputs: list[Any]) -> Operator:
    axis = int(attributes.get("dim", 1))
    return Operator(lambda *parts: torch.cat(parts, axis))


def _clip(attributes: dict[str, Any], inputs: list[Any]) -> Operator:
    low, high = float(attributes["a_min"]), float(attributes["a_max"])
    return Operator(lambda x: x.clamp(low, high))


def _softmax(attributes: dict[str, Any], inputs: list[Any]) -> Operator:
    axis = int(attributes.get("axis", -1))
    return Operator(lambda x: x.softmax(axis))


def _reshape(attributes: dict[str, Any], inputs: list[Any]) -> Operator:
    shape = tuple(attributes["shape"])
    if any(side < -1 for side in shape):
        raise Refused(f"reshape to {shape} is not known")

    def reshape(x: Any) -> Any:
        return x.reshape([x.shape[k] if side == 0 else side for k, side in enumerate(shape)])

    return Operator(reshape)


def _transpose(attributes: dict[str, Any], inputs: list[Any]) -> Operator:
    axes = tuple(attributes["axes"])
    return Operator(lambda x: x.permute(axes))


def _expand(attributes: dict[str, Any], inputs: list[Any]) -> Operator:
    axis = int(attributes["axis"])
    return Operator(lambda x: x.unsqueeze(axis))


OPERATORS: dict[str, Callable[[dict[str, Any], list[Any]], Operator]] = {
    "Activation": _activation,
    "BatchNorm": Normalization,
    "Concat": _concat,
    "Convolution": Convolution,
    "Dropout": _Dropout,
    "Flatten": _of(lambda x: x.flatten(1)),
    "FullyConnected": FullyConnected,
    "LeakyReLU": _leaky,
    "Pooling": _pooling,
    "Reshape": _reshape,
    "SliceChannel": _split,
    "_div_scalar": _scalar(lambda x, number: x / number),
    "_minus_scalar": _scalar(lambda x, number: x - number),
    "_mul_scalar": _scalar(lambda x, number: x * number),
    "_plus_scalar": _scalar(lambda x, number: x + number),
    "broadcast_add": _of(torch.add),
    "broadcast_mul": _of(torch.mul),
    "broadcast_sub": _of(torch.sub),
    "clip": _clip,
    "elemwise_add": _of(torch.add),
    "elemwise_mul": _of(torch.mul),
    "elemwise_sub": _of(torch.sub),
    "expand_dims": _expand,
    "mean": _mean,
    "relu": _of(F.relu),
    "sigmoid": _of(torch.sigmoid),
    "softmax": _softmax,
    "transpose": _transpose,
}
