"""The search: baselines first, then the candidates that the study asks for, each kept as a record.

The order of writing makes a stop harmless at any moment: parameters, then the record, then the
study is told. A trial whose record is there is never trained again; one without goes on after the
last whole epoch of its checkpoint.
"""

from __future__ import annotations

import datetime
import math
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import Trial

from . import data, leaderboard
from .architecture import Architecture
from .batches import epoch_images
from .data import Dataset
from .display import Display
from .errors import InputError, StopTrial, TimeUp
from .recipe import Recipe, derive_seed
from .records import (
    COMPLETE,
    DIVERGED,
    DUPLICATE,
    FAILED,
    IMPOSSIBLE,
    OVER_BUDGET,
    PRUNED,
    TIMED_OUT,
    UNTRAINED,
    EpochResult,
    Outcome,
    TrialRecord,
)
from .run import Run, read_record, versions
from .space import SearchSpace, excess, over_limits
from .study import (
    DUPLICATE_OF,
    SAMPLERS,
    Pruning,
    next_trial,
    open_study,
    report,
    running_trials,
    set_constraints,
    should_prune,
    tell,
)

# So many samples in a row without one to train mean that there is none, or hardly one, left.
MAX_FRUITLESS = 200
# A fault that hits so many candidates in a row in the same words is not the candidates'.
MAX_SAME_FAULT = 3


@dataclass(frozen=True)
class SearchRequest:
    """What a search is asked to do."""

    space: SearchSpace
    recipe: Recipe
    trials: int  # candidates to train; repetitions and over-budget samples do not count
    dataset: str = "digits"
    data_dir: Path | None = None
    validation_size: int | None = None  # None: the data set's usual one
    seed: int = 0
    sampler: str = "tpe"
    baselines: tuple[str, ...] = ()
    device: str = "auto"
    pruning: Pruning = field(default_factory=Pruning)
    keep: int = 10  # how many of the best candidates keep their parameters
    timeout: float | None = None  # seconds for this call
    trial_timeout: float | None = None  # seconds for one training


@dataclass(frozen=True)
class _Setting:
    """What stays the same for every training of a search."""

    request: SearchRequest
    run: Run
    dataset: Dataset
    device: Any
    environment: dict[str, Any]
    display: Display
    deadline: float  # on time.monotonic's clock


class _Watch:
    """Hears of a training's progress: shows it, tells the study, and ends it where that is due."""

    def __init__(self, setting: _Setting, study: Study | None, trial: Trial | None) -> None:
        self.setting, self.study, self.trial = setting, study, trial
        seconds = setting.request.trial_timeout
        self.trial_deadline = time.monotonic() + seconds if seconds else math.inf

    def images(self, done: int) -> None:
        self.setting.display.images(done)
        self._check_time()

    def epoch(self, point: EpochResult) -> None:
        self.setting.display.epoch(point)
        if point.epoch < self.setting.request.recipe.epochs:
            self._check_time()
        if not np.isfinite(point.val_accuracy) or self.study is None or self.trial is None:
            return
        report(self.study, self.trial, {point.epoch: point.val_accuracy})
        rungs = self.setting.request.pruning.rungs(self.setting.request.recipe.epochs)
        if point.epoch in rungs and should_prune(self.study, self.trial, point.epoch):
            raise StopTrial(PRUNED, f"not among the best after epoch {point.epoch}")

    def _check_time(self) -> None:
        now = time.monotonic()
        if now > self.setting.deadline:
            raise TimeUp
        if now > self.trial_deadline:
            limit = self.setting.request.trial_timeout
            raise StopTrial(TIMED_OUT, f"--trial-timeout is {limit:g} s")


@dataclass(frozen=True)
class _Subject:
    """The network that a trial is about."""

    kind: str
    trial: int | None
    name: str
    seed: int
    architecture: Architecture | None = None

    @property
    def label(self) -> str:
        return f"baseline {self.name}" if self.trial is None else f"trial {self.trial}"


def search(request: SearchRequest, run: Run, display: Display) -> list[TrialRecord]:
    """Trains the baselines and `trials` candidates, or what of them an earlier call left over.

    Raises InputError for what the user can mend; everything finished is kept.
    """
    _check(request)
    from .gluon.baselines import parse_baseline
    from .gluon.runtime import device_name, resolve_device, threads

    for spec in request.baselines:
        parse_baseline(spec)
    device = resolve_device(request.device)
    dataset = data.load(request.dataset, request.data_dir, request.validation_size)
    _check_space(request.space, dataset)
    environment = {
        "device": device_name(device),
        "threads": threads(),
        "versions": versions(),
    }
    run.open(
        {
            "search": search_identity(request, dataset),
            "space": {"name": request.space.name, "text": request.space.text},
            "data": {
                "classes": list(dataset.info.classes),
                "image_shape": list(dataset.info.image_shape),
                "mean": list(dataset.mean),
                "std": list(dataset.std),
                "official": dataset.official,
            },
            "environment": environment,
            "created": _now(),
        }
    )
    with run.lock(), display:
        run.sweep()
        for notice in (*dataset.notices, *_new_environment(run, environment)):
            display.say(notice)
        deadline = time.monotonic() + (request.timeout or math.inf)
        setting = _Setting(request, run, dataset, device, environment, display, deadline)
        try:
            for spec in request.baselines:
                _train_baseline(setting, spec)
            _train_candidates(setting)
        except TimeUp:
            display.say(f"--timeout: {request.timeout:g} s are used up; the same command goes on")
    return run.records()


def _new_environment(run: Run, environment: dict[str, Any]) -> list[str]:
    """What the user should know where a run is gone on with in other surroundings."""
    before = run.config()["environment"]
    changed = [key for key in environment if before.get(key) != environment[key]]
    if not changed:
        return []
    return [
        f"this run was begun with other {' and '.join(changed)}: figures may differ slightly "
        "from those of one go; every record names its own"
    ]


def search_identity(request: SearchRequest, dataset: Dataset) -> dict[str, Any]:
    """What two commands must share so that one can go on with the other's run."""
    return {
        "space": request.space.to_json(),
        "dataset": request.dataset,
        "validation_size": len(dataset.validation.labels),
        "data_fingerprint": dataset.fingerprint,
        "recipe": request.recipe.to_json(),
        "objective": "accuracy",
        "sampler": request.sampler,
        "pruning": asdict(request.pruning),
        "seed": request.seed,
    }


def _check(request: SearchRequest) -> None:
    if request.trials < 0:
        raise InputError(f"--trials {request.trials}: 0 or more are expected")
    if request.seed < 0:
        raise InputError(f"--seed {request.seed}: 0 or more is expected")
    if request.sampler not in SAMPLERS:
        raise InputError(f"--sampler {request.sampler}: the samplers are {', '.join(SAMPLERS)}")


def _check_space(space: SearchSpace, dataset: Dataset) -> None:
    """Raises InputError where the space has nothing to train on these images."""
    info = dataset.info
    costs = space.cost_range(len(info.classes), info.image_shape)
    for key, limit in space.limits.items():
        low, high = costs["macs" if key.endswith("macs") else "parameters"]
        if (limit < low) if key.startswith("max_") else (limit > high):
            raise InputError(
                f"space {space.name}: {key} is {limit:,}, but on {info.name} "
                f"its architectures have {low:,} to {high:,}"
            )


def _train_baseline(setting: _Setting, spec: str) -> None:
    from .gluon.baselines import build_baseline

    name = spec.lower()
    path = setting.run.baseline_path(name)
    # One that ran out of time or memory is tried again: this call may give it more.
    if path.exists() and read_record(path).state in (COMPLETE, DIVERGED):
        return
    info = setting.dataset.info
    subject = _Subject("baseline", None, name, derive_seed(setting.request.seed, "baseline", name))
    started = time.perf_counter()
    outcome = _train(
        setting,
        subject,
        lambda: build_baseline(name, len(info.classes), info.image_shape),
        _Watch(setting, None, None),
    )
    setting.display.end(_keep(setting, subject, outcome, started))


def _train_candidates(setting: _Setting) -> None:
    """Candidates until `trials` of them are trained, or none is left to train."""
    request, run, display = setting.request, setting.run, setting.display
    records = [record for record in run.records() if record.kind == "candidate"]
    study = open_study(
        run.study_path,
        request.sampler,
        derive_seed(request.seed, "study"),
        request.space.reference_parameters(),
        request.pruning,
    )
    _tell_unheard(setting, study, records)
    done = [record for record in records if record.state not in UNTRAINED]
    display.begin(request.trials, done)
    while sum(record.state not in UNTRAINED for record in records) < request.trials:
        fault = _common_fault([r for r in records if r.state not in UNTRAINED][len(done) :])
        if fault:
            raise InputError(fault)
        end = _exhausted(request.space, records)
        if end:
            display.say(end)
            return
        if time.monotonic() > setting.deadline:
            raise TimeUp
        trial = next_trial(study)
        started = time.perf_counter()
        subject, outcome = _settle(setting, study, trial, records)
        record = _keep(setting, subject, outcome, started)
        records.append(record)
        _tell(setting, study, trial, record, records)
        _drop_losers(setting, records)
        display.end(record)


def _settle(
    setting: _Setting, study: Study, trial: Trial, records: list[TrialRecord]
) -> tuple[_Subject, Outcome]:
    """What becomes of one trial: most are trained, some need not be."""
    info, request = setting.dataset.info, setting.request
    seed = derive_seed(request.seed, "trial", trial.number)
    try:
        architecture = request.space.sample(trial, len(info.classes), info.image_shape)
    except InputError as error:
        return _Subject("candidate", trial.number, "", seed), Outcome(IMPOSSIBLE, str(error))
    subject = _Subject("candidate", trial.number, architecture.identity, seed, architecture)
    costs = architecture.parameters, architecture.macs
    original = _original(records, architecture.identity)
    if original:
        reason = f"the same network as trial {original.trial}"
        return subject, Outcome(DUPLICATE, reason, (), *costs)
    broken = over_limits(request.space.limits, architecture)
    if broken:
        return subject, Outcome(OVER_BUDGET, "; ".join(broken), (), *costs)
    from .gluon.networks import build_network

    watch = _Watch(setting, study, trial)
    return subject, _train(setting, subject, lambda: build_network(architecture), watch)


def _train(
    setting: _Setting, subject: _Subject, build: Callable[[], Any], watch: _Watch
) -> Outcome:
    from .gluon.trial import run_trial

    request, display = setting.request, setting.display
    recipe = request.recipe
    images = epoch_images(
        len(setting.dataset.train.labels), recipe.batch_size, recipe.images_per_epoch
    )
    display.start(subject.label, recipe.epochs, images)
    return run_trial(
        build,
        setting.dataset,
        recipe,
        subject.seed,
        setting.device,
        setting.run.parameters_path(subject.kind, subject.trial, subject.name),
        setting.run.checkpoint_path(subject.kind, subject.trial, subject.name),
        watch.epoch,
        watch.images,
    )


def _keep(setting: _Setting, subject: _Subject, outcome: Outcome, started: float) -> TrialRecord:
    """Writes the record of a settled trial."""
    seconds = time.perf_counter() - started
    record = TrialRecord(
        kind=subject.kind,
        trial=subject.trial,
        name=subject.name,
        state=outcome.state,
        reason=outcome.reason,
        seed=subject.seed,
        recipe=setting.request.recipe.to_json(),
        data_fingerprint=setting.dataset.fingerprint,
        architecture=subject.architecture,
        parameters=outcome.parameters,
        macs=outcome.macs,
        curve=outcome.curve,
        environment=setting.environment,
        finished=_now(),
        seconds=seconds,
    )
    setting.run.write(record)
    checkpoint = setting.run.checkpoint_path(record.kind, record.trial, record.name)
    shutil.rmtree(checkpoint, ignore_errors=True)
    return record


def _tell(
    setting: _Setting,
    study: Study,
    trial: Trial,
    record: TrialRecord,
    records: list[TrialRecord],
) -> None:
    """Tells the study how a trial ended. A repetition is worth what its original was."""
    scored = record
    if record.state == DUPLICATE:
        scored = _original(records, record.name) or record
        trial.set_user_attr(DUPLICATE_OF, scored.trial)
    elif record.state == IMPOSSIBLE:
        set_constraints(study, trial, {"impossible": 1.0})
    elif record.state == OVER_BUDGET and record.architecture:
        broken = excess(setting.request.space.limits, record.architecture)
        set_constraints(study, trial, broken)
    report(study, trial, {point.epoch: point.val_accuracy for point in record.curve})
    tell(study, trial, record, scored.val_accuracy if scored.state == COMPLETE else None)


def _drop_losers(setting: _Setting, records: list[TrialRecord]) -> None:
    """Keeps the run folder's size bounded: only the best candidates keep their parameters."""
    complete = [record for record in leaderboard.rank(records) if record.state == COMPLETE]
    setting.run.drop_parameters(complete[setting.request.keep :])


def _tell_unheard(setting: _Setting, study: Study, records: list[TrialRecord]) -> None:
    """Tells the study what an earlier process recorded and was stopped before telling."""
    by_number = {record.trial: record for record in records}
    for trial in running_trials(study):
        if trial.number in by_number:
            _tell(setting, study, trial, by_number[trial.number], records)


def _original(records: list[TrialRecord], identity: str) -> TrialRecord | None:
    """The record of the trial that first met this network, if any was trained."""
    return next((r for r in records if r.name == identity and r.state not in UNTRAINED), None)


def _exhausted(space: SearchSpace, records: list[TrialRecord]) -> str:
    """Why there is no candidate left to train; empty while there may be one."""
    tried = {record.name for record in records}
    if len(tried) >= space.size():
        return f"space {space.name} is exhausted: all {space.size()} architectures were tried"
    last = records[-MAX_FRUITLESS:]
    if len(last) == MAX_FRUITLESS and all(record.state in UNTRAINED for record in last):
        counts = Counter(record.state for record in last)
        ends = ", ".join(f"{count} {state}" for state, count in counts.items())
        return (
            f"space {space.name}: the last {MAX_FRUITLESS} samples gave nothing to train ({ends})"
        )
    return ""


def _common_fault(records: list[TrialRecord]) -> str:
    """The error in which the last of these all failed; empty if they did not."""
    last = records[-MAX_SAME_FAULT:]
    reasons = {record.reason for record in last if record.state == FAILED}
    if len(last) == MAX_SAME_FAULT == sum(r.state == FAILED for r in last) and len(reasons) == 1:
        return f"the last {MAX_SAME_FAULT} candidates failed with the same error: {reasons.pop()}"
    return ""


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
