"""The networks of a table as the source of a simulated search's candidates."""

from __future__ import annotations

import random

import numpy as np

from ..errors import InputError
from ..spaces.space import Trial
from .drawing import Drawn
from .recorded import Recorded

# Samplers that learn nothing from what they drew; the others see the networks' parameters.
BLIND = ("random", "grid")


class TableSource:
    """The networks of a table.

    A sampler that learns draws a point; if the table lacks it, the nearest network takes its place
    that was not drawn before. `random` and `grid` draw one of the table's networks.
    """

    def __init__(self, recorded: Recorded, sampler: str, seed: int) -> None:
        """`seed` decides which of several equally near networks is taken. Raises InputError."""
        if recorded.places is None and sampler not in BLIND:
            raise InputError(
                f"--sampler {sampler}: {recorded.table.source} does not say what its networks are "
                f"(`architecture`), so only {' or '.join(BLIND)} can draw them"
            )
        self._networks = recorded.table.networks
        self._names = list(self._networks)
        self.size = len(self._names)
        self._places = None if sampler in BLIND else recorded.places
        # Which of equally near networks is taken, or which follows one that was drawn.
        self._order = np.array(random.Random(seed).sample(range(self.size), self.size))
        self._left = np.ones(self.size, bool)

    def draw(self, trial: Trial) -> Drawn:
        place = self._by_number(trial) if self._places is None else self._by_point(trial)
        self._left[place] = False
        name = self._names[place]
        network = self._networks[name]
        return Drawn(name, network.parameters, network.macs)

    def _by_number(self, trial: Trial) -> int:
        """The network of a number, or the next in a random order that is left."""
        number = trial.suggest_int("network", 0, self.size - 1)
        following = np.roll(self._order, -number)
        return int(following[self._left[following].argmax()])

    def _by_point(self, trial: Trial) -> int:
        """The network at a point, drawn before or not, or the nearest that is left."""
        assert self._places is not None
        distances = self._places.distances(self._places.draw(trial))[self._order]
        nearest = distances.argmin()
        if distances[nearest] > 0:
            nearest = np.where(self._left[self._order], distances, np.inf).argmin()
        return int(self._order[nearest])
