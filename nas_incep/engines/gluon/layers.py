"""The notebook's building blocks as HybridBlocks, for images `(batch, channels, height, width)`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...architecture import NOTEBOOK
from .runtime import mx

nn: Any = mx.gluon.nn

Blocks = Iterable[tuple[int, int, int, int, int, int, int]]  # architecture.Block or a plain tuple


def _convolution(channels: int, kernel_size: int, batch_norm: bool, transpose: bool) -> Any:
    """A convolution that keeps height and width, BatchNorm if asked for, and ReLU."""
    kind = nn.Conv2DTranspose if transpose else nn.Conv2D
    padding = kernel_size // 2
    if not batch_norm:
        return kind(channels, kernel_size, padding=padding, activation="relu")
    out = nn.HybridSequential(prefix="")
    # BatchNorm's beta replaces the bias.
    out.add(
        kind(channels, kernel_size, padding=padding, use_bias=False),
        nn.BatchNorm(),
        nn.Activation("relu"),
    )
    return out


class Inception(nn.HybridBlock):
    """GoogLeNet's unit of four concatenated branches (arXiv:1409.4842, figure 2(b)).

    The branches are 1x1; 1x1, then 3x3; 1x1, then 5x5; 3x3 max pooling, then 1x1. The arguments
    are the output channels of these convolutions. ReLU follows each of them; with `batch_norm`,
    batch normalization comes in between. Maps `(batch, c, h, w)` to
    `(batch, n1_1 + n2_3 + n3_5 + n4_1, h, w)`.
    """

    _transpose = False

    def __init__(
        self,
        n1_1: int,
        n2_1: int,
        n2_3: int,
        n3_1: int,
        n3_5: int,
        n4_1: int,
        batch_norm: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.p1_conv_1 = _convolution(n1_1, 1, batch_norm, self._transpose)
            self.p2_conv_1 = _convolution(n2_1, 1, batch_norm, self._transpose)
            self.p2_conv_3 = _convolution(n2_3, 3, batch_norm, self._transpose)
            self.p3_conv_1 = _convolution(n3_1, 1, batch_norm, self._transpose)
            self.p3_conv_5 = _convolution(n3_5, 5, batch_norm, self._transpose)
            self.p4_pool_3 = nn.MaxPool2D(pool_size=3, strides=1, padding=1)
            self.p4_conv_1 = _convolution(n4_1, 1, batch_norm, self._transpose)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        p1 = self.p1_conv_1(x)
        p2 = self.p2_conv_3(self.p2_conv_1(x))
        p3 = self.p3_conv_5(self.p3_conv_1(x))
        p4 = self.p4_conv_1(self.p4_pool_3(x))
        return F.concat(p1, p2, p3, p4, dim=1)


class InceptionTranspose(Inception):
    """Inception with each convolution replaced by a transposed one; the shapes are the same."""

    _transpose = True


class Residual(nn.HybridBlock):
    """The residual unit of ResNet (He et al., arXiv:1512.03385), as in Gluon's tutorials.

    With `same_shape`, maps `(batch, channels, h, w)` to the same shape. Without it, maps
    `(batch, c, h, w)` to `(batch, channels, ceil(h / 2), ceil(w / 2))`, with a strided 1x1
    convolution on the shortcut.
    """

    def __init__(self, channels: int, same_shape: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.same_shape = same_shape
        strides = 1 if same_shape else 2
        with self.name_scope():
            self.conv1 = nn.Conv2D(channels, kernel_size=3, padding=1, strides=strides)
            self.bn1 = nn.BatchNorm()
            self.conv2 = nn.Conv2D(channels, kernel_size=3, padding=1)
            self.bn2 = nn.BatchNorm()
            if not same_shape:
                self.conv3 = nn.Conv2D(channels, kernel_size=1, strides=strides)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if not self.same_shape:
            x = self.conv3(x)
        return F.relu(out + x)


class PreActivatedResidual(Residual):
    """Residual with batch normalization and ReLU before each convolution (arXiv:1603.05027).

    The shapes are those of Residual. `relu_output` applies ReLU to the sum.
    """

    def __init__(
        self, channels: int, same_shape: bool = False, relu_output: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(channels, same_shape, **kwargs)
        self.relu_output = relu_output

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        if not self.same_shape:
            x = self.conv3(x)
        return F.relu(out + x) if self.relu_output else out + x


def vgg_block(
    num_convs: int,
    n1_1: int,
    n2_1: int,
    n2_3: int,
    n3_1: int,
    n3_5: int,
    n4_1: int,
    batch_norm: bool = False,
) -> Any:
    """Build `num_convs` Inception units, then 2x2 max pooling.

    Maps `(batch, c, h, w)` to `(batch, n1_1 + n2_3 + n3_5 + n4_1, h // 2, w // 2)`.
    """
    out = nn.HybridSequential()
    for _ in range(num_convs):
        out.add(Inception(n1_1, n2_1, n2_3, n3_1, n3_5, n4_1, batch_norm=batch_norm))
    out.add(nn.MaxPool2D(pool_size=2, strides=2))
    return out


def vgg_stack(architecture: Blocks, batch_norm: bool = False) -> Any:
    """Build a vgg_block for each 7-tuple of `architecture`, one after the other."""
    out = nn.HybridSequential()
    for block in architecture:
        out.add(vgg_block(*block, batch_norm=batch_norm))
    return out


def vgg_block_transpose(
    num_convs: int,
    n1_1: int,
    n2_1: int,
    n2_3: int,
    n3_1: int,
    n3_5: int,
    n4_1: int,
    batch_norm: bool = False,
) -> Any:
    """Build `num_convs` InceptionTranspose units, then a transposed convolution of stride 2.

    Maps `(batch, c, h, w)` to `(batch, channels, 2 * h + 1, 2 * w + 1)`, where `channels` is the
    sum of the six widths.
    """
    out = nn.HybridSequential()
    channels = n1_1 + n2_1 + n2_3 + n3_1 + n3_5 + n4_1
    for _ in range(num_convs):
        out.add(InceptionTranspose(n1_1, n2_1, n2_3, n3_1, n3_5, n4_1, batch_norm=batch_norm))
    out.add(nn.Conv2DTranspose(channels, kernel_size=3, strides=2))
    return out


def vgg_stack_transpose(architecture: Blocks, batch_norm: bool = False) -> Any:
    """Build a vgg_block_transpose for each 7-tuple of `architecture`, one after the other."""
    out = nn.HybridSequential()
    for block in architecture:
        out.add(vgg_block_transpose(*block, batch_norm=batch_norm))
    return out


class NIN(PreActivatedResidual):
    """The notebook's NIN: a vgg_stack under a pre-activated residual unit of `n_classes` maps.

    Maps `(batch, channels, h, w)` to `(batch, n_classes, h', w')`. Each block halves h and w,
    rounding down; the residual unit halves them once more, rounding up, unless `same_shape`.
    """

    def __init__(
        self,
        n_classes: int,
        same_shape: bool = False,
        architecture: Blocks = NOTEBOOK.blocks,
        batch_norm: bool = False,
        relu_output: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(n_classes, same_shape, relu_output, **kwargs)
        self.architecture = tuple(architecture)
        with self.name_scope():
            self.net = vgg_stack(self.architecture, batch_norm)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        return super().hybrid_forward(F, self.net(x))
