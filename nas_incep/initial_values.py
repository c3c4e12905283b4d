"""The initial values of parameters, drawn in numpy by formula, so that all engines start alike.

Every array has a random stream of its own, which depends on the training's seed and the array's
name; so the order in which a framework creates its parameters does not matter.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import InputError
from .recipe import derive_seed

# The constants in which parameters of these kinds start.
_CONSTANTS = {
    "bias": 0.0,
    "beta": 0.0,
    "running_mean": 0.0,
    "gamma": 1.0,
    "running_var": 1.0,
}


def initial_value(
    name: str, shape: tuple[int, ...], initializer: str, seed: int, rule: str = ""
) -> np.ndarray:
    """The initial values of one parameter, float32.

    `name` is its place in the network, as in `stages.parameters_of`; its last part is its kind.
    Weights follow `initializer`, one of `recipe.INITIALIZERS`; other kinds start in constants. A
    `rule` takes precedence: the one with which a zoo's network asks for particular values, as MXNet
    writes it, `["normal", {"sigma": 0.01}]` or `zeros`. Raises InputError for an unknown rule.
    """
    kind = _kind(name)
    if not rule and kind in _CONSTANTS:
        return np.full(shape, _CONSTANTS[kind], np.float32)
    rng = np.random.Generator(np.random.PCG64(derive_seed(seed, "value", name)))
    chosen, arguments = _parse(rule) if rule else (initializer, {})
    if chosen not in _RULES:
        raise InputError(f"{name}: unknown initializer {chosen!r}; known: {', '.join(_RULES)}")
    try:
        return _RULES[chosen](rng, shape, **arguments).astype(np.float32, copy=False)
    except (TypeError, KeyError, ValueError, ArithmeticError):
        raise InputError(f"{name}: the initializer {rule[:100]} has strange arguments") from None


def _kind(name: str) -> str:
    """What a parameter is, the last part of its place: `weight`, `gamma`.

    `HybridBlock.export` names parameters without places: `batchnorm0_gamma`.
    """
    kind = name.rpartition(".")[2]
    if kind != name:
        return kind
    return next((known for known in _CONSTANTS if name.endswith(f"_{known}")), kind)


def check_initial(name: str, shape: tuple[int, ...], rule: str) -> None:
    """Raises InputError if `initial_value` would, by drawing an array of few values."""
    try:
        # Rules depend on the number of axes, not on their lengths.
        initial_value(name, (1,) * len(shape), "xavier", 0, rule)
    except InputError as error:
        raise InputError(str(error).replace(str((1,) * len(shape)), str(shape))) from None


def _parse(rule: str) -> tuple[str, dict[str, Any]]:
    """A rule's name and arguments."""
    if not rule.startswith("["):
        return rule.lower(), {}
    try:
        name, arguments = json.loads(rule)
        return str(name).lower(), dict(arguments)
    except (TypeError, ValueError):
        raise InputError(f"initializer {rule!r}: a name and its arguments are expected") from None


def _constant(value: float) -> Callable[..., np.ndarray]:
    return lambda rng, shape: np.full(shape, value, np.float32)


def _normal(rng: np.random.Generator, shape: tuple[int, ...], sigma: float = 0.01) -> np.ndarray:
    return np.float32(sigma) * rng.standard_normal(shape, dtype=np.float32)


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], scale: float = 0.07) -> np.ndarray:
    return np.float32(scale) * (2 * rng.random(shape, dtype=np.float32) - 1)


def _xavier(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    rnd_type: str = "uniform",
    factor_type: str = "avg",
    magnitude: float = 3.0,
) -> np.ndarray:
    """Glorot and Bengio, "Understanding the difficulty of training deep feedforward networks"."""
    if len(shape) < 2:
        raise InputError(f"an array of shape {shape} has no fans, which its initializer needs")
    pixels = math.prod(shape[2:])
    fan_in, fan_out = shape[1] * pixels, shape[0] * pixels
    factor = {"avg": (fan_in + fan_out) / 2, "in": fan_in, "out": fan_out}[factor_type]
    scale = math.sqrt(magnitude / factor)
    return (_uniform if rnd_type == "uniform" else _normal)(rng, shape, scale)


def _msra(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    factor_type: str = "avg",
    slope: float = 0.25,
) -> np.ndarray:
    """He et al., arXiv:1502.01852, with MXNet's defaults for the mean of the fans and the slope."""
    return _xavier(rng, shape, "gaussian", factor_type, 2 / (1 + slope**2))


def _constant_of(
    rng: np.random.Generator, shape: tuple[int, ...], value: float = 0.0
) -> np.ndarray:
    return np.full(shape, value, np.float32)


_RULES: dict[str, Callable[..., np.ndarray]] = {
    "msra": _msra,
    "msraprelu": _msra,
    "xavier": _xavier,
    "normal": _normal,
    "uniform": _uniform,
    "zero": _constant(0.0),
    "zeros": _constant(0.0),
    "one": _constant(1.0),
    "ones": _constant(1.0),
    "constant": _constant_of,
}
