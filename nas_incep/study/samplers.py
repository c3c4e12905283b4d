"""The samplers that draw the candidates, by name, created anew for every trial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import Study
from optuna.trial import FrozenTrial

from ..recipe import derive_seed
from .evolution import EvolutionSampler
from .journal import quiet

DUPLICATE_OF = "duplicate_of"  # a trial attribute: the number of the trial that it duplicates
# After this many duplicates in a row the sampler counts as stuck.
MAX_REPETITIONS = 3
POPULATION = 20  # of nsga2


def _tpe(seed: int) -> BaseSampler:
    # Optuna's defaults change between releases; every setting that affects results is set here.
    return TPESampler(
        n_startup_trials=10,
        n_ei_candidates=24,
        multivariate=True,
        group=True,  # only some trials have the parameters of a deeper network
        constant_liar=True,
        seed=seed,
    )


def _nsga2(seed: int) -> BaseSampler:
    return NSGAIISampler(population_size=POPULATION, seed=seed)


# Keyed by the names in `results.samplers`.
_FACTORIES: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": _tpe,
    "random": lambda seed: RandomSampler(seed=seed),
    "nsga2": _nsga2,
    "grid": lambda seed: BruteForceSampler(seed=seed),  # every point once, in random order
    "evolution": EvolutionSampler,
}


def _new_sampler(name: str, seed: int) -> BaseSampler:
    with quiet():
        return _FACTORIES[name](seed)


class PerTrialSampler(BaseSampler):
    """Uses a new sampler for each trial, seeded by (search seed, trial number).

    Therefore a resumed search neither replays nor skips random numbers, and processes that share a
    study never share a stream. If the last trials were all duplicates, the next is drawn at random.
    """

    def __init__(self, name: str, seed: int) -> None:
        self._name, self._current, self._seed = name, name, seed
        self._sampler = _new_sampler(name, seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._current = "random" if _is_stuck(study, trial.number) else self._name
        self._sampler = self._fresh(trial.number)
        self._sampler.before_trial(study, trial)

    def _fresh(self, *purpose: object) -> BaseSampler:
        return _new_sampler(self._current, derive_seed(self._seed, "sampler", *purpose))

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        # One stream per parameter: a trial that was stopped while sampling already has some of
        # them, and must draw the others as if it had not been stopped.
        sampler = self._fresh(trial.number, param_name)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    # after_trial is omitted: Optuna's samplers use it for constraint functions, BruteForceSampler
    # to stop Study.optimize; neither is used here.


def _is_stuck(study: Study, number: int) -> bool:
    last = study.get_trials(deepcopy=False)[:number][-MAX_REPETITIONS:]
    return len(last) == MAX_REPETITIONS and all(DUPLICATE_OF in t.user_attrs for t in last)
