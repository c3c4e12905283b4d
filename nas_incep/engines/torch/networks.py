"""The network of an architecture as a torch Module, with Gluon's names for its parameters."""

from __future__ import annotations

from typing import Any

from ...architecture import Architecture, Block
from .runtime import torch

nn: Any = torch.nn
F: Any = nn.functional

# Gluon's defaults; PyTorch's momentum is the weight of the new batch.
EPSILON, MOMENTUM = 1e-5, 0.1


class BatchNorm(nn.Module):
    """Batch normalization of `(batch, channels, h, w)` under Gluon's names.

    Gluon's running variance follows the biased variance of the batches, PyTorch's the unbiased one.
    This layer does as PyTorch; `Training` makes up for the difference. `count` is the number of
    values behind each channel's statistics in the last batch.
    """

    def __init__(
        self,
        channels: int,
        epsilon: float = EPSILON,
        momentum: float = MOMENTUM,
        frozen: bool = False,
    ) -> None:
        """`frozen` uses the running statistics in training, too."""
        super().__init__()
        self.epsilon, self.momentum, self.frozen = epsilon, momentum, frozen
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.count = 0

    def forward(self, x: Any) -> Any:
        self.count = x.numel() // x.shape[1]
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.gamma,
            self.beta,
            self.training and not self.frozen,
            self.momentum,
            self.epsilon,
        )


def _convolution(inputs: int, outputs: int, kernel: int, batch_norm: bool) -> Any:
    """A convolution that keeps height and width, BatchNorm if asked for, and ReLU."""
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not batch_norm)
    if batch_norm:
        return nn.Sequential(convolution, BatchNorm(outputs), nn.ReLU(inplace=True))
    return _WithReLU(convolution)


class _WithReLU(nn.Module):
    """A convolution and ReLU, whose parameters are named as those of the convolution alone."""

    def __init__(self, convolution: Any) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self.padding = convolution.padding

    def forward(self, x: Any) -> Any:
        return F.relu(F.conv2d(x, self.weight, self.bias, padding=self.padding), inplace=True)


class Inception(nn.Module):
    """GoogLeNet's unit of four concatenated branches (arXiv:1409.4842, figure 2(b)).

    Maps `(batch, inputs, h, w)` to `(batch, block.out_channels, h, w)`.
    """

    def __init__(self, inputs: int, block: Block, batch_norm: bool) -> None:
        super().__init__()
        self.p1_conv_1 = _convolution(inputs, block.n1_1, 1, batch_norm)
        self.p2_conv_1 = _convolution(inputs, block.n2_1, 1, batch_norm)
        self.p2_conv_3 = _convolution(block.n2_1, block.n2_3, 3, batch_norm)
        self.p3_conv_1 = _convolution(inputs, block.n3_1, 1, batch_norm)
        self.p3_conv_5 = _convolution(block.n3_1, block.n3_5, 5, batch_norm)
        self.p4_pool_3 = nn.MaxPool2d(3, stride=1, padding=1)
        self.p4_conv_1 = _convolution(inputs, block.n4_1, 1, batch_norm)

    def forward(self, x: Any) -> Any:
        p1 = self.p1_conv_1(x)
        p2 = self.p2_conv_3(self.p2_conv_1(x))
        p3 = self.p3_conv_5(self.p3_conv_1(x))
        p4 = self.p4_conv_1(self.p4_pool_3(x))
        return torch.cat((p1, p2, p3, p4), dim=1)


class PreActivatedResidual(nn.Module):
    """The residual unit of the head (He et al., arXiv:1603.05027), as in the Gluon engine."""

    def __init__(self, inputs: int, channels: int, same_shape: bool, relu_output: bool) -> None:
        super().__init__()
        stride = 1 if same_shape else 2
        self.relu_output = relu_output
        self.conv1 = nn.Conv2d(inputs, channels, 3, padding=1, stride=stride)
        self.bn1 = BatchNorm(inputs)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = BatchNorm(channels)
        self.conv3 = None if same_shape else nn.Conv2d(inputs, channels, 1, stride=stride)

    def forward(self, x: Any) -> Any:
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        out = out + (x if self.conv3 is None else self.conv3(x))
        return F.relu(out) if self.relu_output else out


class Network(nn.Module):
    """The classifier of an architecture: images `(batch, channels, h, w)` to `(batch, classes)`.

    The names in its `state_dict` are those of `stages.parameters_of`.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        channels = architecture.input_shape[0]
        blocks = []
        for block in architecture.blocks:
            units = []
            for _ in range(block.num_convs):
                units.append(Inception(channels, block, architecture.batch_norm))
                channels = block.out_channels
            blocks.append(nn.Sequential(*units, nn.MaxPool2d(2)))
        self.features = nn.Sequential(*blocks)
        head = PreActivatedResidual(
            channels, architecture.classes, architecture.same_shape, architecture.relu_output
        )
        self.output = nn.Sequential(head, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: Any) -> Any:
        return self.output(self.features(x))

    def arrays(self) -> dict[str, Any]:
        """The parameters and statistics by name."""
        return dict(self.state_dict())


def build_network(architecture: Architecture) -> Network:
    """The network of an architecture, with PyTorch's initial values."""
    return Network(architecture)
