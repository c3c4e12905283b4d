"""Regularized evolution as an Optuna sampler.

Source: Real, Aggarwal, Huang, Le, "Regularized Evolution for Image Classifier Architecture Search",
arXiv:1802.01548: a random `tournament` is drawn from the last `population` networks, and its best
network is the parent of a child that differs in one parameter. Networks leave the population by age
alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState


class EvolutionSampler(BaseSampler):
    """Keeps no state between trials: the study's complete trials are the population."""

    def __init__(self, seed: int, population: int = 20, tournament: int = 5) -> None:
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._random = RandomSampler(seed=seed)
        self._population, self._tournament = population, tournament
        self._parent: dict[str, Any] = {}

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Chooses the parent, whose parameters the child has."""
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        living = [other for other in finished if other.number < trial.number][-self._population :]
        if len(living) < self._tournament:
            return {}
        chosen = self._rng.choice(len(living), size=self._tournament, replace=False)
        best = max((living[i] for i in chosen), key=lambda other: other.value or 0.0)
        self._parent = best.params
        return best.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parent's values with one of them mutated."""
        names = [name for name, values in search_space.items() if not values.single()]
        if not names:
            return {}
        mutated = names[self._rng.integers(len(names))]
        value = self._parent[mutated]
        while value == self._parent[mutated]:
            value = self.sample_independent(study, trial, mutated, search_space[mutated])
        return {**self._parent, mutated: value}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draws at random, for the first population or if a child is deeper than its parent."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)
