"""A network as a program that PyTorch alone loads, written by `torch.export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...datasets.batches import Normalization
from ...zoo_network import AnyNetwork
from .engine import TorchEngine
from .runtime import torch


class _FromPixels(torch.nn.Module):
    """A network behind its normalization: pixels of any type to outputs."""

    def __init__(self, network: Any, normalize: Normalization) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("scale", torch.from_numpy(normalize.scale))
        self.register_buffer("shift", torch.from_numpy(normalize.shift))

    def forward(self, pixels: Any) -> Any:
        return self.network(pixels.float() * self.scale - self.shift)


def save_program(
    described: AnyNetwork, weights: Path, normalize: Normalization, path: Path
) -> None:
    """Writes a file that `torch.export.load` reads.

    Its input is uint8 pixels `(batch, channels, height, width)` of any batch size, its output the
    scores `(batch, classes)`. Raises InputError if the weights do not fit the network.
    """
    network = TorchEngine().load_network(described, weights)
    whole = _FromPixels(network, normalize).eval()
    # With a batch of one, torch.export would take its size for a constant.
    example = torch.zeros((2, *described.input_shape), dtype=torch.uint8)
    batch = torch.export.Dim("batch")
    program = torch.export.export(whole, (example,), dynamic_shapes=({0: batch},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of this machine
    torch.export.save(program, path)
