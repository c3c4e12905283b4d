"""A study that is made again from the records of its run, because its journal is lost or damaged.

The records are the truth: they hold the parameters, values, states and curves of all trials that
have ended. What other trials had drawn is lost; their numbers decide what they draw again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState, create_trial

from .._text import counted
from ..architecture import Architecture
from ..recipe import derive_seed
from ..records import DUPLICATE, TrialRecord
from ..results.config import RunConfig
from ..results.objectives import directions, values
from ..spaces.points import Point
from ..spaces.space import VARIANTS, SearchSpace
from ._optuna import ALL_TRIES, FIRST_TRY, GENERATION
from .journal import quiet, replace_journal
from .opening import open_study
from .pruners import make_pruner
from .samplers import POPULATION, PerTrialSampler
from .shared import SharedStudy
from .trial import ARCHITECTURE, LATENCY, StudyTrial


class _Memory(BaseJournalBackend):
    """The lines of a journal that is not written yet."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Any:
        return iter(self.logs[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs.extend(logs)


class RebuiltStudy(SharedStudy):
    """A study that is only in memory until it takes the journal's place."""

    def __init__(self, config: RunConfig) -> None:
        request = config.request
        self._request, self._memory = request, _Memory()
        with quiet():
            storage = JournalStorage(self._memory)
        study = open_study(
            storage,
            config.study.name,
            directions(request.objectives),
            PerTrialSampler(request.sampler, derive_seed(request.seed, "study")),
            make_pruner(request.pruning, request.recipe.epochs),
        )
        # No lock: nobody else has this study.
        super().__init__(study, nullcontext(), request.pruning, request.recipe.epochs)

    def add(self, record: TrialRecord) -> StudyTrial:
        """Adds the trial of a record as one whose training is over, but whose end is not told."""
        subject, outcome = record.subject, record.outcome
        user_attrs: dict[str, Any] = {}
        system_attrs: dict[str, Any] = {}
        if subject.architecture:
            user_attrs[ARCHITECTURE] = subject.architecture.to_json()
        if outcome.latency_ms is not None:
            user_attrs[LATENCY] = outcome.latency_ms
        if subject.retry_of is not None:
            system_attrs = {FIRST_TRY: subject.retry_of, ALL_TRIES: [subject.retry_of]}
        if self._request.sampler == "nsga2":
            system_attrs[GENERATION] = len(self._in_state(TrialState.COMPLETE)) // POPULATION
        parameters, distributions = drawn(self._request.space, subject.architecture)
        self._study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=parameters,
                distributions=distributions,
                user_attrs=user_attrs,
                system_attrs=system_attrs,
            )
        )
        return self.trial(-1)

    def add_waiting(self, parameters: dict[str, Any] | None = None) -> None:
        """Queues a trial, which draws its parameters, if they are not given, by its number."""
        if parameters is None:
            self._study.add_trial(create_trial(state=TrialState.WAITING))
        else:
            self._study.enqueue_trial(parameters)

    def trial(self, number: int) -> StudyTrial:
        return StudyTrial(self.trials()[number])

    def replace(self, journal: Path) -> str:
        """Writes the study in place of the journal; the name under which that one is kept."""
        return replace_journal(journal, self._memory.logs)


class _Drawn(Point):
    """A point that notes among which values each of its parameters is drawn."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        super().__init__(parameters)
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        self.distributions[name] = IntDistribution(low, high, step=step)
        return super().suggest_int(name, low, high, step=step)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.distributions[name] = CategoricalDistribution(choices)
        return super().suggest_categorical(name, choices)


def drawn(
    space: SearchSpace, architecture: Architecture | None
) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """The parameters that give an architecture, and their distributions; none outside the space."""
    if architecture is None:
        return {}, {}
    variant = {key: getattr(architecture, key) for key in VARIANTS}
    if space.outside(architecture.blocks, variant):
        return {}, {}
    parameters = space.parameters_of(architecture.blocks, variant)
    point = _Drawn(parameters)
    space.sample(point, architecture.classes, architecture.input_shape)
    return {name: parameters[name] for name in point.distributions}, point.distributions


def contradiction(
    study: SharedStudy, records: Sequence[TrialRecord], space: SearchSpace, objectives: Any
) -> str:
    """In what a study differs from the records of its run; empty if it agrees with all of them.

    Duplicates once had the values of their originals, so their ends are not compared.
    """
    trials = study.trials()
    for record in records:
        number, architecture = record.subject.trial, record.subject.architecture
        if number is None:
            continue
        if number >= len(trials):
            return (
                f"it has {counted(len(trials), 'trial')}, but there is a record of trial {number}"
            )
        trial = trials[number]
        if trial.state == TrialState.WAITING:
            return f"trial {number}, which has a record, has not begun in it"
        if architecture and _sampled(space, trial.params, architecture) != architecture:
            return f"trial {number} has another architecture in it than in its record"
        if record.outcome.state == DUPLICATE or not trial.state.is_finished():
            continue
        told = trial.values if trial.state == TrialState.COMPLETE else None
        if told != values(record, objectives):
            return f"trial {number} has another value in it than in its record"
    return ""


def _sampled(
    space: SearchSpace, parameters: dict[str, Any], like: Architecture
) -> Architecture | None:
    try:
        return space.sample(Point(parameters), like.classes, like.input_shape)
    except (KeyError, ValueError, TypeError, IndexError):
        return None
