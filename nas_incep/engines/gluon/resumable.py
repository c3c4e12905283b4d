"""A training as a session needs it: its arrays go out to a checkpoint and come back."""

from __future__ import annotations

from ..checkpoint import Arrays
from ..weights import misfit
from .latency import measure_latency
from .networks import count_macs, count_parameters
from .optimizer_state import optimizer_arrays, restore_optimizer
from .runtime import mx
from .training import Training


class ResumableTraining(Training):
    """`engines.session.EpochTraining` has the contract of these methods."""

    @property
    def form_name(self) -> str:
        return self.form.name

    def parameters(self) -> Arrays:
        named = self.network._collect_params_with_prefix()
        return {name: parameter.data().asnumpy() for name, parameter in named.items()}

    def optimizer_arrays(self) -> Arrays:
        return optimizer_arrays(self.trainer)

    def set_parameters(self, parameters: Arrays) -> None:
        named = self.network._collect_params_with_prefix()
        problem = misfit(parameters, {name: value.shape for name, value in named.items()})
        if problem:
            raise ValueError(problem)
        for name, parameter in named.items():
            parameter.set_data(mx.nd.array(parameters[name]))
        self.form.load()

    def restore(self, parameters: Arrays, optimizer: Arrays, epoch: int) -> None:
        self.set_parameters(parameters)
        restore_optimizer(self.trainer, optimizer, self.device)
        self.epoch = epoch

    def count(self) -> tuple[int, int]:
        shape = self.dataset.info.image_shape
        return count_parameters(self.network), count_macs(self.network, shape)

    def latency_ms(self) -> float:
        return measure_latency(self.network, self.dataset.info.image_shape, self.device)
