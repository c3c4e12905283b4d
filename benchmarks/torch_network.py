"""The PyTorch twin of an architecture's network, and its bare training step as a contestant."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from harness import Blocks
from networks import BATCH, NETWORKS
from ours import DECAY, RATE
from torch import nn

from nas_incep.architecture import Architecture, Block


def _convolution(inputs: int, outputs: int, kernel: int, batch_norm: bool) -> nn.Sequential:
    """Convolution that keeps height and width, (BatchNorm2d,) ReLU."""
    out = nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not batch_norm)
    )
    if batch_norm:
        out.append(nn.BatchNorm2d(outputs))
    return out.append(nn.ReLU(inplace=True))


class Inception(nn.Module):
    """The unit of four branches, concatenated on the channels."""

    def __init__(self, inputs: int, block: Block, batch_norm: bool) -> None:
        super().__init__()
        _, n1_1, n2_1, n2_3, n3_1, n3_5, n4_1 = block
        self.p1 = _convolution(inputs, n1_1, 1, batch_norm)
        self.p2 = nn.Sequential(
            _convolution(inputs, n2_1, 1, batch_norm), _convolution(n2_1, n2_3, 3, batch_norm)
        )
        self.p3 = nn.Sequential(
            _convolution(inputs, n3_1, 1, batch_norm), _convolution(n3_1, n3_5, 5, batch_norm)
        )
        self.p4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), _convolution(inputs, n4_1, 1, batch_norm)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.p1(x), self.p2(x), self.p3(x), self.p4(x)], 1)


class TorchNetwork(nn.Module):
    """`(batch, channels, h, w)` to `(batch, classes)`: blocks, residual head, average pooling."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, classes = architecture.input_shape[0], architecture.classes
        for block in architecture.blocks:
            for _ in range(block.num_convs):
                layers.append(Inception(channels, block, architecture.batch_norm))
                channels = block.out_channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        stride = 1 if architecture.same_shape else 2
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, classes, 3, stride, padding=1)
        self.bn2 = nn.BatchNorm2d(classes)
        self.conv2 = nn.Conv2d(classes, classes, 3, padding=1)
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(channels, classes, 1, stride)
        self.relu_output = architecture.relu_output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(x)
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out))) + self.shortcut(x)
        return (F.relu(out) if self.relu_output else out).mean((2, 3))


def blocks(network: str, precision: str, layout: str, batches: int, threads: int) -> Blocks:
    """`step`: bare steps on one batch that lies there already, PyTorch's best case."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    architecture = NETWORKS[network]
    net = TorchNetwork(architecture)
    count = sum(parameter.numel() for parameter in net.parameters())
    assert count == architecture.parameters, f"{count} parameters, not {architecture.parameters}"
    images = torch.randn(BATCH, *architecture.input_shape)
    labels = torch.randint(architecture.classes, (BATCH,))
    if layout == "channels-last":
        net = net.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    # Of its three implementations the fastest on a CPU.
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE, weight_decay=DECAY, fused=True)

    def steps() -> int:
        for _ in range(batches):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                loss = F.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
        return batches * BATCH

    return {"step": steps}
