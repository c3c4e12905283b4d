"""Which parameters of a space matter for accuracy, by Optuna's PED-ANOVA."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from ..records import COMPLETE, TrialRecord
from ..results.config import RunConfig
from .rebuilding import drawn

ENOUGH = 15  # complete candidates; what fewer tell is noise
TOP = 5  # Optuna recommends at least so many among the best


def importances(config: RunConfig, records: Sequence[TrialRecord]) -> dict[str, float]:
    """The importance of each parameter for being among the best, the largest first; their sum is 1.

    The best are a tenth of the complete candidates, or five of them. Each network counts once: the
    records are read, not the study, in which runs of 0.1.0 have duplicates with the accuracy of
    their originals. Empty with fewer than ENOUGH complete candidates, or where nothing could be
    chosen.
    """
    complete = {
        record.subject.name: record
        for record in records
        if record.outcome.state == COMPLETE and not record.subject.is_baseline
    }
    study = optuna.create_study(direction="maximize")
    for record in complete.values():
        parameters, distributions = drawn(config.request.space, record.subject.architecture)
        if parameters and record.val_accuracy is not None:
            study.add_trial(
                create_trial(
                    value=record.val_accuracy, params=parameters, distributions=distributions
                )
            )
    count = len(study.get_trials(deepcopy=False))
    if count < ENOUGH:
        return {}
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(0.1, TOP / count))
    with warnings.catch_warnings():
        # It warns of every value that hardly occurs.
        warnings.simplefilter("ignore", UserWarning)
        return get_param_importances(study, evaluator=evaluator)
