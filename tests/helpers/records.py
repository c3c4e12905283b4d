"""Records and configurations that no search has made."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from nas_incep.architecture import NOTEBOOK
from nas_incep.recipe import RECIPES, Recipe
from nas_incep.records import BASELINE, CANDIDATE, EpochResult, Outcome, Subject, TrialRecord
from nas_incep.results.config import DataFacts, RunConfig, SearchRequest, StudyPlace
from nas_incep.spaces.reader import read_space


def record(trial: int | None, state: str, *accuracies: float) -> TrialRecord:
    curve = tuple(
        EpochResult(epoch, 1.0, 0.5, 1.0, accuracy, 100, 2.0, 0.5)
        for epoch, accuracy in enumerate(accuracies, 1)
    )
    if trial is None:
        subject = Subject(BASELINE, None, "inception3@75", 1)
    else:
        subject = Subject(CANDIDATE, trial, f"id{trial}", 1, NOTEBOOK)
    return TrialRecord(
        subject=subject,
        outcome=Outcome(state, "", curve, parameters=10, macs=20),
        engine="gluon",
        recipe=Recipe(),
        data_fingerprint="f",
        environment={},
        finished="",
        seconds=3.0,
    )


def changed(one: TrialRecord, **outcome: Any) -> TrialRecord:
    """A record with another outcome."""
    return dataclasses.replace(one, outcome=dataclasses.replace(one.outcome, **outcome))


def a_config(**request: Any) -> RunConfig:
    """A run's configuration, as a search that has begun has it; `request` are changes."""
    asked = {"space": read_space("quick"), "recipe": RECIPES["brief"], "trials": 4, **request}
    return RunConfig(
        engine="gluon",
        request=SearchRequest(**asked),
        data=DataFacts("f" * 16, 300, ("a", "b"), (1, 8, 8), (0.5,), (0.25,), None),
        study=StudyPlace("name-1", None, 30),
        precision="float32",
        called="2026-01-01T00:00:00+00:00",
        created="2026-01-01T00:00:00+00:00",
        versions={"python": "3.11"},
    )


def version_3(config: RunConfig) -> dict[str, Any]:
    """The run.json that version 3 wrote of it; it could not yet name the engine."""
    request = config.request.to_json()
    del request["space"]["ordered_lists"], request["baselines"]
    data = dataclasses.asdict(config.data)
    search = config.identity()
    del search["engine"], data["fingerprint"], data["validation_size"]
    del search["deterministic"], request["deterministic"]
    return json.loads(
        json.dumps(
            {
                "format": "nas-incep-run",
                "version": 3,
                "search": search,
                "space": {key: request["space"][key] for key in ("name", "text")},
                "data": data,
                "study": dataclasses.asdict(config.study),
                "environment": {"versions": config.versions},
                "created": config.created,
                "request": request,
                "precision": config.precision,
                "called": config.called,
            }
        )
    )
