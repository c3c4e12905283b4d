"""A network's parameters as views of one long vector, and the optimizers on such vectors.

One operator then updates all parameters, whatever their number: on a GPU a step of a small network
consists of many operators too short to fill it. The rules are MXNet's, which differ from PyTorch's
in details: its momentum contains the learning rate, for example.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...recipe import Recipe
from .runtime import torch

# The parameters begin at multiples of this many elements, as kernels want aligned arrays.
ALIGNMENT = 64
ADAM_DECAYS = float(np.float32(0.9)), float(np.float32(0.999))


class Flat:
    """The parameters of a network, moved into one vector, and a vector for their gradients."""

    def __init__(self, network: Any, device: Any) -> None:
        """Moves the network to the device. Its parameters stay leaves with the same values."""
        network.to(device)
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        self.parameters = [parameter for _, parameter in named]
        sizes = [ALIGNMENT * math.ceil(p.numel() / ALIGNMENT) for p in self.parameters]
        self.values = torch.zeros(sum(sizes), device=device)
        self.gradients = torch.zeros(sum(sizes), device=device)
        self._views, start = [], 0
        for parameter, size in zip(self.parameters, sizes):
            part = slice(start, start + parameter.numel())
            view = _shaped(self.values[part], parameter.shape)
            view.copy_(parameter.data)
            parameter.data = view
            self._views.append(_shaped(self.gradients[part], parameter.shape))
            start += size

    def collect(self, gradients: Any) -> Any:
        """The vector of the gradients, one for each parameter, None for one without influence."""
        pairs = list(zip(self._views, gradients))
        for view, gradient in pairs:
            if gradient is None:
                view.zero_()
        used = [pair for pair in pairs if pair[1] is not None]
        torch._foreach_copy_(*map(list, zip(*used)))
        return self.gradients


def _shaped(vector: Any, shape: Any) -> Any:
    """A view of a vector; that of a convolution's weight has its channels last in memory."""
    if len(shape) != 4:
        return vector.view(shape)
    outputs, inputs, height, width = shape
    return vector.view(outputs, height, width, inputs).permute(0, 3, 1, 2)


class Optimizer:
    """MXNet's optimizer of a recipe on one vector of values.

    `step` takes the sum of a batch's gradients; `rate` is a tensor of one element, so that a
    captured graph reads its present value. `state` holds the vectors to restore with a checkpoint.
    """

    def __init__(self, recipe: Recipe, values: Any, batch_size: int) -> None:
        self._recipe, self._values, self._scale = recipe, values, 1 / batch_size
        names = {
            "sgd": ("momentum",),
            "nag": ("momentum",),
            "adam": ("mean", "variance"),
            "adadelta": ("squares", "changes"),
            "rmsprop": ("squares",),
        }[recipe.optimizer]
        self.state = {name: torch.zeros_like(values) for name in names}
        if recipe.optimizer == "adam":
            self.state["steps"] = torch.zeros(1, dtype=torch.float64, device=values.device)
        self._rule = getattr(self, f"_{recipe.optimizer}")

    def step(self, gradients: Any, rate: Any) -> None:
        """Updates the values; overwrites the gradients."""
        self._rule(gradients.mul_(self._scale), rate)

    def arrays(self) -> dict[str, np.ndarray]:
        """The state by name."""
        return {name: vector.cpu().numpy() for name, vector in self.state.items()}

    def load(self, arrays: dict[str, np.ndarray]) -> None:
        """Raises ValueError if the arrays are not those of such an optimizer."""
        found = {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
        expected = {name: (v.shape, v.cpu().numpy().dtype.name) for name, v in self.state.items()}
        if found != expected:
            raise ValueError(f"the optimizer has {expected}, not {found}")
        for name, vector in self.state.items():
            vector.copy_(torch.from_numpy(arrays[name]))

    def _with_decay(self, gradients: Any) -> Any:
        return gradients.add_(self._values, alpha=self._recipe.weight_decay)

    def _sgd(self, gradients: Any, rate: Any) -> None:
        momentum = self.state["momentum"]
        momentum.mul_(self._recipe.momentum).sub_(self._with_decay(gradients).mul_(rate))
        self._values.add_(momentum)

    def _nag(self, gradients: Any, rate: Any) -> None:
        """Nesterov's accelerated gradient. MXNet's momentum holds the decay of the new values."""
        momentum, ahead = self.state["momentum"], self._recipe.momentum
        momentum.mul_(ahead)
        change = gradients.add(self._values, alpha=self._recipe.weight_decay).mul_(rate)
        self._values.add_(momentum, alpha=ahead).sub_(change, alpha=1 + ahead)
        momentum.sub_(self._with_decay(gradients).mul_(rate))

    def _adam(self, gradients: Any, rate: Any) -> None:
        """Kingma and Ba, arXiv:1412.6980, with its default decays and an epsilon of 1e-8.

        As in MXNet the running averages have the decays of float32, whose 1 - 0.999 is 1e-5 off.
        """
        mean, variance, steps = (self.state[name] for name in ("mean", "variance", "steps"))
        gradients = self._with_decay(gradients)
        steps.add_(1)
        first, second = ADAM_DECAYS
        mean.lerp_(gradients, 1 - first)
        variance.mul_(second).addcmul_(gradients, gradients, value=1 - second)
        corrected = rate * ((1 - 0.999**steps).sqrt() / (1 - 0.9**steps)).to(rate.dtype)
        self._values.sub_(mean.div(variance.sqrt().add_(1e-8)).mul_(corrected))

    def _adadelta(self, gradients: Any, rate: Any) -> None:
        """Zeiler, arXiv:1212.5701, with an epsilon of 1e-5; MXNet's ignores the learning rate."""
        squares, changes, decay = self.state["squares"], self.state["changes"], self._recipe.decay
        squares.mul_(decay).addcmul_(gradients, gradients, value=1 - decay)
        change = (changes + 1e-5).sqrt_().div_((squares + 1e-5).sqrt_()).mul_(gradients)
        changes.mul_(decay).addcmul_(change, change, value=1 - decay)
        self._values.sub_(change.add_(self._values, alpha=self._recipe.weight_decay))

    def _rmsprop(self, gradients: Any, rate: Any) -> None:
        """Tieleman and Hinton's, with an epsilon of 1e-8 under the root."""
        squares, decay = self.state["squares"], self._recipe.decay
        gradients = self._with_decay(gradients)
        squares.mul_(decay).addcmul_(gradients, gradients, value=1 - decay)
        self._values.sub_(gradients.div_((squares + 1e-8).sqrt_()).mul_(rate))
