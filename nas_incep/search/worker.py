"""One worker: it takes a trial, trains it, keeps the record, tells the study; until all are done.

The order of writing makes a stop harmless at any moment: parameters, then the record, then the
study is told. A trial whose record is there is never trained again; one without goes on after the
last whole epoch of its checkpoint. Any number of workers may be at it: each takes its next trial
while it holds the sampling lock, so the number of trials is exact, no network is trained twice, and
a trial that a dead worker left is seen to once.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import Trial, TrialState

from .._machine import FLOAT32
from ..datasets import Dataset, load
from ..datasets.batches import epoch_images
from ..errors import GivenAway, LeaveTrial, StopTrial, TimeUp
from ..records import (
    COMPLETE,
    DIVERGED,
    OVER_BUDGET,
    PRUNED,
    TIMED_OUT,
    EpochResult,
    Outcome,
    Subject,
    TrialRecord,
)
from ..results import leaderboard
from ..results.objectives import pareto_front
from ..results.run import Candidates, Run, read_record, versions
from ..spaces.space import over_latency
from ..study.heartbeat import heartbeat
from ..study.study import LATENCY, WORKER, finished, frozen, put_back, report, should_prune
from .display import Display
from .liveness import new_name, present
from .recovery import Shared, baseline_subject, tell_ending
from .request import SearchRequest, identity
from .scheduler import Source, Task, next_task


@dataclass(frozen=True)
class Post:
    """Where one worker works, and for how long."""

    device: str = "auto"
    baselines: tuple[str, ...] = ()  # that it is to train first
    deadline: float = math.inf  # on time.monotonic's clock
    supervised_as: str = ""  # the name that its supervisor knows it by, if it has one


@dataclass(frozen=True)
class _Setting:
    """What stays the same for every training of a worker."""

    shared: Shared
    name: str
    dataset: Dataset
    device: Any
    precision: str  # of the candidates' training
    environment: dict[str, Any]
    display: Display
    deadline: float

    @property
    def request(self) -> SearchRequest:
        return self.shared.request

    @property
    def run(self) -> Run:
        return self.shared.run

    @property
    def study(self) -> Study:
        return self.shared.study


def work(
    shared: Shared,
    lock: AbstractContextManager[Any],
    display: Display,
    post: Post,
    dataset: Dataset | None = None,
) -> None:
    """Trains the baselines, then candidates until all that were asked for are there.

    Raises InputError for what the user can mend, TimeUp at the deadline; everything finished is
    kept.
    """
    from ..engines.gluon.baselines import parse_baseline
    from ..engines.gluon.forms import check_precision
    from ..engines.gluon.runtime import device_name, resolve_device, threads

    request, run = shared.request, shared.run
    for spec in post.baselines:
        parse_baseline(spec)
    device = resolve_device(post.device)
    precision = run.config()["precision"]
    check_precision(precision, device)
    if dataset is None:
        dataset = load(request.dataset, request.data_dir, request.validation_size)
        run.check(identity(request, dataset))
    environment = {"device": device_name(device), "threads": threads(), "versions": versions()}
    for notice in _new_environment(run.records(), environment):
        display.say(notice)
    name = post.supervised_as or new_name()
    with present(run.workers_path, name, bool(post.supervised_as)):
        setting = _Setting(
            shared, name, dataset, device, precision, environment, display, post.deadline
        )
        for spec in post.baselines:
            _train_baseline(setting, spec)
        source = Source(shared, lock, name, dataset.info, Candidates(run), display.say)
        while True:
            task = next_task(source, post.deadline)
            if task is None:
                return
            _see_through(setting, task, source)


def _new_environment(records: list[TrialRecord], environment: dict[str, Any]) -> list[str]:
    """What the user should know where a run is gone on with in other surroundings."""
    changed = sorted(
        {
            key
            for record in records
            for key in environment.keys() & record.environment.keys()
            if _kind(record.environment[key]) != _kind(environment[key])
        }
    )
    if not changed:
        return []
    return [
        f"this run has records made with other {' and '.join(changed)}: figures may differ "
        "slightly from those of one go; every record names its own"
    ]


def _kind(value: Any) -> Any:
    """A device without its number: equal GPUs give equal figures."""
    return value.partition(":")[0] if isinstance(value, str) else value


class _OutsideFault(LeaveTrial):
    """Something failed that has nothing to do with the network, as its cause says."""


def _not_the_networks_fault(method: Callable[..., Any]) -> Callable[..., Any]:
    """A training ends with an outcome where its network fails; a lost study must not look so."""

    @functools.wraps(method)
    def call(*arguments: Any) -> Any:
        try:
            return method(*arguments)
        except (StopTrial, LeaveTrial):
            raise
        except Exception as error:
            raise _OutsideFault from error

    return call


class _Watch:
    """Hears of a training's progress: shows it, tells the study, and ends it where that is due."""

    def __init__(self, setting: _Setting, subject: Subject, trial: Trial | None = None) -> None:
        self.setting, self.subject, self.trial = setting, subject, trial
        self.latency: float | None = None
        seconds = setting.request.trial_timeout
        self.trial_deadline = time.monotonic() + seconds if seconds else math.inf

    def built(self, network: Any) -> None:
        """Measures the latency before anything is trained; a second try keeps the first figure."""
        if not self.setting.request.measures_latency:
            return
        from ..engines.gluon.latency import measure_latency

        shape = self.setting.dataset.info.image_shape
        self.latency = self._known_latency()
        if self.latency is None:
            self.latency = measure_latency(network, shape, self.setting.device)
            self._note_latency()
        if self.trial is None:
            return
        limits = self.setting.request.space.limits
        broken = over_latency(limits, self.latency)
        if broken:
            raise StopTrial(OVER_BUDGET, "; ".join(broken))

    @_not_the_networks_fault
    def _known_latency(self) -> float | None:
        return (
            frozen(self.setting.study, self.trial).user_attrs.get(LATENCY) if self.trial else None
        )

    @_not_the_networks_fault
    def _note_latency(self) -> None:
        if self.trial:
            self.trial.set_user_attr(LATENCY, self.latency)

    @_not_the_networks_fault
    def images(self, done: int) -> None:
        self.setting.display.images(self.subject.label, done)
        self._check_time()

    @_not_the_networks_fault
    def epoch(self, point: EpochResult) -> None:
        self.setting.display.epoch(self.subject.label, point)
        request = self.setting.request
        if point.epoch < request.recipe.epochs:
            self._check_time()
        if not np.isfinite(point.val_accuracy) or self.trial is None:
            return
        study = self.setting.study
        report(study, self.trial, {point.epoch: point.val_accuracy})
        rungs = request.pruning.rungs(request.recipe.epochs, self.subject.origin)
        if point.epoch in rungs and should_prune(study, self.trial, point.epoch):
            raise StopTrial(PRUNED, f"not among the best after epoch {point.epoch}")

    def _check_time(self) -> None:
        now = time.monotonic()
        if now > self.setting.deadline:
            raise TimeUp
        if now > self.trial_deadline:
            limit = self.setting.request.trial_timeout
            raise StopTrial(TIMED_OUT, f"--trial-timeout is {limit:g} s")


def _train_baseline(setting: _Setting, spec: str) -> None:
    from ..engines.gluon.baselines import build_baseline

    name = spec.lower()
    path = setting.run.baseline_path(name)
    # One that ran out of time or memory is tried again: this call may give it more.
    if path.exists() and read_record(path).state in (COMPLETE, DIVERGED):
        return
    info = setting.dataset.info
    subject = baseline_subject(setting.request, name)
    started = time.perf_counter()
    outcome = _train(
        setting,
        subject,
        lambda: build_baseline(name, len(info.classes), info.image_shape),
        _Watch(setting, subject),
    )
    setting.display.end(_keep(setting, subject, outcome, started))


def _see_through(setting: _Setting, task: Task, source: Source) -> None:
    """Trains what is to be trained, keeps the record, tells the study."""
    trial, label = task.trial, task.subject.label
    started = time.perf_counter()
    try:
        with heartbeat(setting.study._storage, trial._trial_id):
            outcome = task.outcome or _train_candidate(setting, task)
            # Nobody can hold this worker to be dead in the middle of it.
            with source.lock:
                _check_ownership(setting, trial)
                record = _keep(setting, task.subject, outcome, started)
                records = source.candidates.refresh([*finished(setting.study), trial.number])
                tell_ending(setting.shared, trial, record, records)
    except BaseException as error:
        setting.display.leave(label)
        if not _give_back(setting, trial, source.lock):
            setting.display.say(f"{label}: this worker was held to be dead, another has it now")
            if isinstance(error, Exception) and not isinstance(error, TimeUp):
                return
        raise
    _drop_losers(setting, records)
    setting.display.end(record)


def _give_back(setting: _Setting, trial: Trial, lock: AbstractContextManager[Any]) -> bool:
    """Whatever ends a worker is not its trial's fault: the next one goes on with it.

    False where another worker has it already.
    """
    path = setting.run.parameters_path("candidate", trial.number, "")
    try:
        with lock:
            _check_ownership(setting, trial)
            if not setting.run.candidate_path(trial.number).exists():
                put_back(setting.study, frozen(setting.study, trial))
    except GivenAway:
        path.unlink(missing_ok=True)
        return False
    except Exception:  # the study cannot be reached; it will see that this worker is gone
        return True
    return True


def _check_ownership(setting: _Setting, trial: Trial) -> None:
    """Raises GivenAway if the trial is no longer this worker's."""
    stored = frozen(setting.study, trial)
    if stored.state != TrialState.RUNNING or stored.user_attrs.get(WORKER) != setting.name:
        raise GivenAway


def _train_candidate(setting: _Setting, task: Task) -> Outcome:
    from ..engines.gluon.networks import build_network

    architecture = task.subject.architecture
    assert architecture is not None  # an impossible one has its outcome already
    watch = _Watch(setting, task.subject, task.trial)
    return _train(setting, task.subject, lambda: build_network(architecture), watch)


def _train(setting: _Setting, subject: Subject, build: Callable[[], Any], watch: _Watch) -> Outcome:
    from ..engines.gluon.trial import run_trial

    recipe, run = setting.request.recipe, setting.run
    images = epoch_images(
        len(setting.dataset.train.labels), recipe.batch_size, recipe.images_per_epoch
    )
    setting.display.start(subject.label, recipe.epochs, images)
    try:
        outcome = run_trial(
            build,
            setting.dataset,
            recipe,
            subject.seed,
            setting.device,
            _precision(setting, subject),
            run.parameters_path(subject.kind, subject.trial, subject.name),
            run.checkpoint_path(subject.kind, subject.trial, subject.name),
            watch.built,
            watch.epoch,
            watch.images,
        )
    except _OutsideFault as fault:
        raise fault.__cause__ or fault from None
    return dataclasses.replace(outcome, latency_ms=watch.latency)


def _precision(setting: _Setting, subject: Subject) -> str:
    """A baseline is trained in float32: MXNet's automatic mixed precision slows them down."""
    return setting.precision if subject.architecture else FLOAT32


def _keep(setting: _Setting, subject: Subject, outcome: Outcome, started: float) -> TrialRecord:
    """Writes the record of a trial; its checkpoint is then spent."""
    record = subject.record(
        outcome,
        setting.request.recipe,
        setting.dataset.fingerprint,
        {**setting.environment, "precision": _precision(setting, subject)},
        time.perf_counter() - started,
    )
    setting.run.write(record)
    checkpoint = setting.run.checkpoint_path(record.kind, record.trial, record.name)
    shutil.rmtree(checkpoint, ignore_errors=True)
    return record


def _drop_losers(setting: _Setting, records: list[TrialRecord]) -> None:
    """Keeps the run folder's size bounded: only the best candidates keep their parameters."""
    objectives = setting.request.objectives
    ranked = leaderboard.rank(records, objectives)
    complete = [record for record in ranked if record.state == COMPLETE]
    front = len(pareto_front(complete, objectives)) if len(objectives) > 1 else 0
    setting.run.drop_parameters(complete[max(setting.request.keep, front) :])
