"""Trainings for MLflow: an experiment for each run, in it an MLflow run for each training."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Its import would report it to MLflow's makers.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# A search waits for each call, so a server that does not answer is given up soon.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from ..records import COMPLETE, PRUNED, EpochResult, TrialRecord
from .loggers import final_metrics, hyperparameters, metrics

LABEL, FINISHED = "nas_incep.label", "nas_incep.finished"
SEARCH = "nas_incep.search"  # the name of the study: an experiment may be shared
ACCURACY = "accuracy/validation"
# MLflow's word for how a training has ended; the others have failed.
_ENDS = {COMPLETE: "FINISHED", PRUNED: "KILLED"}
# At most so many are taken in one call.
_METRICS, _PARAMS = 1000, 100


class MLflowLogger:
    """Logs to the server or folder of MLFLOW_TRACKING_URI, or to a database in a folder."""

    def __init__(self, study: str, folder: Path) -> None:
        """The experiment is that of MLFLOW_EXPERIMENT_NAME, or else named like the study.

        `folder` is created if it is needed. Raises MlflowException, ValueError.
        """
        self._study = study
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or study
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        place = None
        if not uri:
            if set("?%") & set(str(folder.absolute())):
                raise ValueError(f"{folder}: a path without ? and % is expected, which is in a URL")
            folder.mkdir(exist_ok=True)
            uri = f"sqlite:///{folder.absolute() / 'mlflow.db'}"
            place = (folder / "artifacts").absolute().as_uri()
        self._client = MlflowClient(uri)
        found = self._client.get_experiment_by_name(experiment)
        self._experiment: str = (
            found.experiment_id
            if found
            else self._client.create_experiment(experiment, artifact_location=place)
        )
        self._whole: set[tuple[str, str]] = set()  # labels, with when the training ended
        self._open: dict[str, str] = {}  # by label, the ID of a run that has not ended
        self._epochs: dict[str, set[int]] = {}  # by label, those that are logged
        self._read()

    def _read(self) -> None:
        """Learns what earlier calls have logged."""
        token = None
        while True:
            page = self._client.search_runs([self._experiment], page_token=token)
            for run in page:
                if run.data.tags.get(SEARCH) != self._study:
                    continue
                label, finished = run.data.tags.get(LABEL), run.data.tags.get(FINISHED)
                if label and finished:
                    self._whole.add((label, finished))
                elif label:
                    self._open[label] = run.info.run_id
            token = page.token
            if not token:
                return

    def has(self, record: TrialRecord) -> bool:
        return (record.subject.label, record.finished) in self._whole

    def epoch(self, label: str, point: EpochResult) -> None:
        self._add(label, [point])

    def end(self, record: TrialRecord) -> None:
        label, outcome = record.subject.label, record.outcome
        self._add(label, outcome.curve)
        run = self._open[label]
        # All of these replace what a call that was killed here has written.
        values = [Param(key, str(value)) for key, value in hyperparameters(record).items()]
        for start in range(0, len(values), _PARAMS):
            self._client.log_batch(run, params=values[start : start + _PARAMS])
        known = {metric for metric in final_metrics(record) if self._history(run, metric)}
        final = {key: v for key, v in final_metrics(record).items() if key not in known}
        said = {"state": outcome.state, "reason": outcome.reason[:400]}
        tags = [RunTag(key, value) for key, value in said.items() if value]
        self._client.log_batch(run, metrics=_entries(final, record.epochs), tags=tags)
        self._client.set_terminated(run, _ENDS.get(outcome.state, "FAILED"))
        self._client.set_tag(run, FINISHED, record.finished)
        self._whole.add((label, record.finished))
        del self._open[label]
        self._epochs.pop(label, None)

    def close(self) -> None:
        """Does nothing: every call writes."""

    def _add(self, label: str, points: Sequence[EpochResult]) -> None:
        """Logs the epochs that are not logged yet."""
        if label not in self._open:
            tags = {LABEL: label, SEARCH: self._study}
            made = self._client.create_run(self._experiment, tags=tags, run_name=label)
            self._open[label] = made.info.run_id
            self._epochs[label] = set()
        run = self._open[label]
        if label not in self._epochs:
            self._epochs[label] = self._history(run, ACCURACY)
        known = self._epochs[label]
        entries = [
            entry
            for point in points
            if point.epoch not in known
            for entry in _entries(metrics(point), point.epoch)
        ]
        for start in range(0, len(entries), _METRICS):
            self._client.log_batch(run, metrics=entries[start : start + _METRICS])
        known.update(point.epoch for point in points)

    def _history(self, run: str, metric: str) -> set[int]:
        """The epochs of which a metric is logged."""
        return {entry.step for entry in self._client.get_metric_history(run, metric)}


def _entries(values: dict[str, float], epoch: int) -> list[Any]:
    now = int(1000 * time.time())
    return [Metric(key, value, now, epoch) for key, value in values.items()]
