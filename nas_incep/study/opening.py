"""Optuna's study of a run: created with what it tries first, or opened and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import Study

from ..recipe import derive_seed
from ..results.config import RunConfig
from ..results.objectives import directions
from .journal import StudyDamaged
from .pruners import make_pruner
from .samplers import PerTrialSampler


def study_of(
    config: RunConfig,
    storage: BaseStorage,
    first: Sequence[dict[str, Any]] = (),
    create: bool = True,
) -> Study:
    """The study of a run in a storage, with its sampler and pruner; see `open_study`."""
    request = config.request
    sampler = PerTrialSampler(request.sampler, derive_seed(request.seed, "study"))
    pruner = make_pruner(request.pruning, request.recipe.epochs)
    ways = directions(request.objectives)
    return open_study(storage, config.study.name, ways, sampler, pruner, first, create)


def open_study(
    storage: BaseStorage,
    name: str,
    directions: Sequence[Any],
    sampler: BaseSampler,
    pruner: BasePruner,
    first: Sequence[dict[str, Any]] = (),
    create: bool = True,
) -> Study:
    """Opens Optuna's study of that name and enqueues what it is to try `first`.

    It is created only with `create`: a second study, in another database, would number its trials
    like the first. Raises StudyDamaged where it is missing, or has other directions.
    """
    if not create and name not in optuna.get_all_study_names(storage):
        raise StudyDamaged(f"it has no study {name}, so the study was lost or replaced")
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=list(directions),
        sampler=sampler,
        pruner=pruner,
        load_if_exists=True,
    )
    found = [direction.name.lower() for direction in study.directions]
    if found != list(directions):
        raise StudyDamaged(f"its study {name} has the directions {found}, not {list(directions)}")
    for parameters in first:
        study.enqueue_trial(parameters, skip_if_exists=True)
    return study
