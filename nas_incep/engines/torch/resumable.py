"""A training as a session needs it: its arrays go out to a checkpoint and come back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..checkpoint import Arrays
from ..latency import median_ms, random_image
from ..weights import misfit
from .runtime import torch
from .training import Training


class ResumableTraining(Training):
    """`engines.session.EpochTraining` has the contract of these methods."""

    @property
    def form_name(self) -> str:
        return "torch"

    def parameters(self) -> Arrays:
        return arrays_of(self.network)

    def optimizer_arrays(self) -> Arrays:
        return self.optimizer.arrays()

    def set_parameters(self, parameters: Arrays) -> None:
        set_arrays(self.network, parameters)

    def restore(self, parameters: Arrays, optimizer: Arrays, epoch: int) -> None:
        self.set_parameters(parameters)
        self.optimizer.load(optimizer)
        self.epoch = epoch

    def count(self) -> tuple[int, int]:
        network = self.network
        parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
        return parameters, network.macs

    def latency_ms(self) -> float:
        """The time from an image on the device to the output there, without batch or gradient."""
        pixels = random_image(self.dataset.info.image_shape)
        image = torch.from_numpy(pixels).to(self.device, memory_format=torch.channels_last)
        self.network.eval()

        def call() -> None:
            with torch.inference_mode():
                self.network(image)
            if self.device.type == "cuda":
                torch.cuda.synchronize()

        return median_ms(call)


def arrays_of(network: Any) -> Arrays:
    """The parameters and running statistics of a network in training by name, C-contiguous."""
    arrays = network.arrays()
    return {name: np.ascontiguousarray(value.cpu().numpy()) for name, value in arrays.items()}


def set_arrays(network: Any, arrays: Arrays) -> None:
    """Sets all parameters and statistics. Raises ValueError if the arrays do not fit."""
    state = network.arrays()
    problem = misfit(arrays, {name: tuple(value.shape) for name, value in state.items()})
    if problem:
        raise ValueError(problem)
    for name, value in state.items():
        value.copy_(torch.from_numpy(arrays[name]))
