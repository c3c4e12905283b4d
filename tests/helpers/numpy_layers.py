"""Layers in numpy's words. x: (batch, channels, height, width)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nas_incep.engines.gluon.runtime import mx


def random_images(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def fill(network: Any, seed: int = 0) -> None:
    """Gives every parameter random values, so that none of them can hide as a 0 or a 1."""
    rng = np.random.default_rng(seed)
    for name, parameter in sorted(network._collect_params_with_prefix().items()):
        size = np.prod(parameter.shape[1:] or (1,))
        values = rng.standard_normal(parameter.shape) / np.sqrt(size)
        if name.endswith("running_var"):
            values = 0.5 + np.abs(values)
        parameter.set_data(mx.nd.array(values))


def convolution(x: np.ndarray, layer: Any, padding: int, stride: int = 1) -> np.ndarray:
    weight = layer.weight.data().asnumpy()
    rim = (padding, padding)
    windows = sliding_window_view(np.pad(x, ((0, 0), (0, 0), rim, rim)), weight.shape[2:], (2, 3))
    out = np.einsum("nchwij,ocij->nohw", windows[:, :, ::stride, ::stride], weight)
    return out if layer.bias is None else out + layer.bias.data().asnumpy()[:, None, None]


def batch_norm(x: np.ndarray, layer: Any) -> np.ndarray:
    gamma, beta, mean, var = (
        parameter.data().asnumpy()[:, None, None]
        for parameter in (layer.gamma, layer.beta, layer.running_mean, layer.running_var)
    )
    return gamma * (x - mean) / np.sqrt(var + 1e-5) + beta


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def max_pool(x: np.ndarray, size: int, stride: int, padding: int) -> np.ndarray:
    rim = (padding, padding)
    padded = np.pad(x, ((0, 0), (0, 0), rim, rim), constant_values=-np.inf)
    windows = sliding_window_view(padded, (size, size), (2, 3))[:, :, ::stride, ::stride]
    return windows.max(axis=(4, 5))


def unit_convolution(x: np.ndarray, layer: Any, padding: int, normalized: bool) -> np.ndarray:
    if not normalized:
        return relu(convolution(x, layer, padding))
    return relu(batch_norm(convolution(x, layer[0], padding), layer[1]))


def residual_pre_activated(
    x: np.ndarray, layer: Any, same_shape: bool, relu_output: bool
) -> np.ndarray:
    stride = 1 if same_shape else 2
    out = convolution(relu(batch_norm(x, layer.bn1)), layer.conv1, 1, stride)
    out = convolution(relu(batch_norm(out, layer.bn2)), layer.conv2, 1)
    out = out + (x if same_shape else convolution(x, layer.conv3, 0, stride))
    return relu(out) if relu_output else out
