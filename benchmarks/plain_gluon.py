"""The network as a user of Gluon would write it from the notebook, none of it ours.

Only imported in a contestant's own process, for it imports MXNet as it comes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from networks import NETWORKS

# MXNet 1.9.1 and GluonCV do not import on today's numpy.
for _name, _kind in {"bool": bool, "int": int, "float": float, "object": object}.items():
    if _name not in np.__dict__:
        setattr(np, _name, _kind)

import mxnet as mx  # noqa: E402
from mxnet.gluon import nn  # noqa: E402


def convolution(channels: int, kernel_size: int, batch_norm: bool) -> Any:
    padding = kernel_size // 2
    if not batch_norm:
        return nn.Conv2D(channels, kernel_size, padding=padding, activation="relu")
    out = nn.HybridSequential()
    out.add(nn.Conv2D(channels, kernel_size, padding=padding, use_bias=False))
    out.add(nn.BatchNorm(), nn.Activation("relu"))
    return out


class Inception(nn.HybridBlock):
    def __init__(
        self, n1_1: int, n2_1: int, n2_3: int, n3_1: int, n3_5: int, n4_1: int, batch_norm: bool
    ) -> None:
        super().__init__()
        with self.name_scope():
            self.p1_conv_1 = convolution(n1_1, 1, batch_norm)
            self.p2_conv_1 = convolution(n2_1, 1, batch_norm)
            self.p2_conv_3 = convolution(n2_3, 3, batch_norm)
            self.p3_conv_1 = convolution(n3_1, 1, batch_norm)
            self.p3_conv_5 = convolution(n3_5, 5, batch_norm)
            self.p4_pool_3 = nn.MaxPool2D(pool_size=3, strides=1, padding=1)
            self.p4_conv_1 = convolution(n4_1, 1, batch_norm)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        p1 = self.p1_conv_1(x)
        p2 = self.p2_conv_3(self.p2_conv_1(x))
        p3 = self.p3_conv_5(self.p3_conv_1(x))
        p4 = self.p4_conv_1(self.p4_pool_3(x))
        return F.concat(p1, p2, p3, p4, dim=1)


class Head(nn.HybridBlock):
    """The pre-activated residual unit of the notebook's NIN."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        with self.name_scope():
            self.bn1 = nn.BatchNorm()
            self.conv1 = nn.Conv2D(classes, kernel_size=3, padding=1, strides=2)
            self.bn2 = nn.BatchNorm()
            self.conv2 = nn.Conv2D(classes, kernel_size=3, padding=1)
            self.conv3 = nn.Conv2D(classes, kernel_size=1, strides=2)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        return F.relu(out + self.conv3(x))


def initialized(network: str) -> Any:
    architecture = NETWORKS[network]
    net = nn.HybridSequential()
    for num_convs, *widths in architecture.blocks:
        for _ in range(num_convs):
            net.add(Inception(*widths, batch_norm=architecture.batch_norm))
        net.add(nn.MaxPool2D(pool_size=2, strides=2))
    net.add(Head(architecture.classes), nn.GlobalAvgPool2D(), nn.Flatten())
    net.initialize(mx.init.Xavier())
    net(mx.nd.zeros((1, *architecture.input_shape)))
    trainable = [p for p in net.collect_params().values() if p.grad_req != "null"]
    count = sum(p.data().size for p in trainable)
    assert count == architecture.parameters, f"{count} parameters, not {architecture.parameters}"
    return net
