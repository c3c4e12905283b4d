"""The packed form of a network: the same function with fewer and wider operators.

On a GPU, the step of a small network is bound by the number of its kernels; on a CPU, PyTorch's
batch normalization is slow on few channels. Therefore the three 1x1 convolutions that read a unit's
input are one, and so are the normalizations and ReLUs of parallel branches. The parameters of what
was joined lie one behind the other, so that each is a slice of a packed array.
"""

from __future__ import annotations

from typing import Any

from ...architecture import Architecture
from ...stages import NORM_KINDS, Convolution, Stage, head_stages, unit_stages
from .networks import BatchNorm
from .runtime import torch

nn: Any = torch.nn
F: Any = nn.functional


class _Joined(nn.Module):
    """Convolutions with kernels of one size that read the same maps, as one."""

    def __init__(self, convolutions: list[Convolution], stride: int = 1) -> None:
        super().__init__()
        first = convolutions[0]
        outputs = sum(convolution.outputs for convolution in convolutions)
        self.stride, self.padding = stride, first.kernel // 2
        self.weight = nn.Parameter(torch.zeros(outputs, *first.weight.shape[1:]))
        self.bias = nn.Parameter(torch.zeros(outputs)) if first.bias else None
        self.parts: list[tuple[str, str, int, int]] = []
        start = 0
        for convolution in convolutions:
            end = start + convolution.outputs
            self.parts.append((convolution.weight.name, "weight", start, end))
            if convolution.bias:
                self.parts.append((convolution.bias.name, "bias", start, end))
            start = end

    def forward(self, x: Any) -> Any:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class _Normalized(BatchNorm):
    """The batch normalizations of several convolutions' outputs side by side."""

    def __init__(self, convolutions: list[Convolution], channels: int) -> None:
        super().__init__(channels)
        self.parts: list[tuple[str, str, int, int]] = []
        start = 0
        for convolution in convolutions:
            end = start + convolution.norm[0].size
            for kind, parameter in zip(NORM_KINDS, convolution.norm):
                self.parts.append((parameter.name, kind, start, end))
            start = end


def _normalization(convolutions: list[Convolution]) -> Any:
    """The normalization behind convolutions, or nothing where they have none."""
    if not convolutions[0].norm:
        return None
    return _Normalized(convolutions, sum(c.outputs for c in convolutions))


class _Unit(nn.Module):
    """As `networks.Inception`."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        (p1,), (p2_1, p2_3), (p3_1, p3_5), (p4,) = stage.branches
        self.widths = [p1.outputs, p2_1.outputs, p3_1.outputs]
        self.reading = _Joined([p1, p2_1, p3_1])
        self.reading_norm = _normalization([p1, p2_1, p3_1])
        self.p2, self.p3, self.p4 = _Joined([p2_3]), _Joined([p3_5]), _Joined([p4])
        self.ending_norm = _normalization([p2_3, p3_5, p4])

    def forward(self, x: Any) -> Any:
        reading = self.reading(x)
        if self.reading_norm is not None:
            reading = self.reading_norm(reading)
        p1, p2, p3 = torch.split(F.relu(reading, inplace=True), self.widths, dim=1)
        ends = self.p2(p2), self.p3(p3), self.p4(F.max_pool2d(x, 3, 1, 1))
        if self.ending_norm is None:
            return F.relu(torch.cat((p1, *ends), dim=1), inplace=True)
        ending = F.relu(self.ending_norm(torch.cat(ends, dim=1)), inplace=True)
        return torch.cat((p1, ending), dim=1)


class PackedNetwork(nn.Module):
    """The packed form of an architecture's network.

    Maps images `(batch, channels, h, w)` to class scores `(batch, classes)`.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture, self.macs = architecture, architecture.macs
        self.blocks = nn.ModuleList(
            nn.ModuleList(_Unit(unit) for unit in units) for units in unit_stages(architecture)
        )
        stride = 1 if architecture.same_shape else 2
        convolutions = [stage.convolutions[0] for stage in head_stages(architecture)]
        first, second, *shortcut = convolutions
        self.bn1 = _Normalized([first], first.inputs)
        self.conv1 = _Joined([first], stride)
        self.bn2 = _Normalized([second], second.inputs)
        self.conv2 = _Joined([second])
        self.conv3 = _Joined(shortcut, stride) if shortcut else None

    def forward(self, x: Any) -> Any:
        for units in self.blocks:
            for unit in units:
                x = unit(x)
            x = F.max_pool2d(x, 2)
        out = self.conv1(F.relu(self.bn1(x), inplace=True))
        out = self.conv2(F.relu(self.bn2(out), inplace=True))
        out = out + (x if self.conv3 is None else self.conv3(x))
        if self.architecture.relu_output:
            out = F.relu(out)
        return out.mean((2, 3))

    def arrays(self) -> dict[str, Any]:
        """The parameters and statistics by their canonical names, as views of the packed ones."""
        return {
            name: getattr(module, array).detach()[start:end]
            for module in self.modules()
            if isinstance(module, (_Joined, _Normalized))
            for name, array, start, end in module.parts
        }
