"""What a study says about itself to people who open it, in a dashboard or a notebook.

Nothing of it is read back or changes what is sampled. The attributes are single numbers and short
texts, which a dashboard can sort and draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import Study

from ..records import TrialRecord
from ..results.config import RunConfig
from ._optuna import storage_of
from .journal import quiet, together

MAX_REASON = 400  # characters


def trial_attributes(record: TrialRecord) -> dict[str, Any]:
    """What a trial says about how it ended; without what is unknown.

    A `state` finer than Optuna's, the `reason` for it, `parameters` and `macs` as counts, `epochs`
    that were trained, training `images_per_second`.
    """
    outcome, rate = record.outcome, record.images_per_second
    known = {
        "state": outcome.state,
        "reason": outcome.reason[:MAX_REASON] or None,
        "parameters": outcome.parameters,
        "macs": outcome.macs,
        "epochs": record.epochs or None,
        "images_per_second": None if rate is None else round(rate, 1),
    }
    return {key: value for key, value in known.items() if value is not None}


def note_outcome(storage: BaseStorage, id: int, record: TrialRecord) -> None:
    """Notes how the trial of that ID ended, unless it is told already."""
    stored = storage.get_trial(id)
    if stored.state.is_finished():
        return
    news = {
        key: value
        for key, value in trial_attributes(record).items()
        if stored.user_attrs.get(key) != value
    }
    with suppress(UpdateFinishedTrialError), together(storage):
        for key, value in news.items():
            storage.set_trial_user_attr(id, key, value)
    for _ in news:  # another program may have just ended it: a journal says so for each line
        with suppress(UpdateFinishedTrialError):
            storage.get_trial(id)


def describe(study: Study, config: RunConfig, baselines: Sequence[TrialRecord]) -> None:
    """Names the objectives, and notes what is searched and how accurate the baselines are.

    Only what is new is written, because a journal keeps every line.
    """
    request, known = config.request, study.user_attrs
    recipe = request.recipe
    wanted: dict[str, Any] = {
        "space": request.space.name,
        "dataset": request.dataset,
        "engine": config.engine,
        "recipe": recipe.name,
        "epochs": recipe.epochs,
        "images_per_epoch": recipe.images_per_epoch or "all",
    }
    for record in baselines:
        if record.val_accuracy is not None:
            wanted[f"baseline {record.subject.name}"] = record.val_accuracy
    with together(storage_of(study)):
        if study.metric_names != list(request.objectives):
            with quiet():
                study.set_metric_names(list(request.objectives))
        for key, value in wanted.items():
            if known.get(key) != value:
                study.set_user_attr(key, value)
