"""The search: opens a run folder and its study, and starts the workers."""

from __future__ import annotations

import dataclasses
import math
import secrets
import time
from pathlib import Path

from .._logs import SEARCH, log_file
from .._machine import versions
from .._text import counted
from ..datasets import Dataset, dataset_info, is_own
from ..engines import load_engine
from ..errors import InputError, TimeUp
from ..records import TrialRecord, now
from ..results.config import DataFacts, RunConfig, StudyPlace
from ..results.known import Known
from ..results.networks import keep_graphs
from ..results.request import SearchRequest
from ..results.run import Run
from ..spaces.counting import cost_range
from ..spaces.space import MAX_LATENCY, SearchSpace
from ..study.journal import REMEDY, StudyDamaged
from ..study.shared import SharedStudy
from ..study.storage import close_storage, open_storage
from ..study.urls import public_url
from .anew import check_lengths, set_aside
from .checking import Available, check_names, checked, named_twice
from .display import Display
from .liveness import is_anyone_present, wait_for_orphans
from .own_networks import OwnNetworks, own_networks
from .recovery import Recovery, Shared
from .reruns import release_orphans
from .restoring import open_or_rebuild
from .slots import Means, idle_determinism, settle_precision, slots_of
from .start import resume_command
from .supervisor import STORAGE_VARIABLE, Supervisor
from .surroundings import other_versions
from .warm_start import warm_started
from .worker import Post, Worker

# A worker counts as dead when the server was away for longer than a heartbeat. A restart of an idle
# PostgreSQL took 0.3 s, one after a crash 1.3 s; a busy one first writes its checkpoint.
MIN_HEARTBEAT = 10  # seconds


def search(
    request: SearchRequest, run: Run, display: Display, means: Means | None = None
) -> list[TrialRecord]:
    """Trains the baselines and candidates that an earlier call has not finished; all records.

    Raises InputError for what the user can fix, SearchFailed if the search cannot go on; finished
    trials are kept. At the deadline, a message says so and the call returns.
    """
    means = means or Means()
    deadline = time.monotonic() + (means.timeout or math.inf)
    request, dataset, available, own = _check_options(request, run, means)
    request, taken = warm_started(request, run, dataset.info)
    wanted = _config(request, run, dataset, means)
    _check_folder(run, wanted, means)
    with run.lock(), run.kept(), log_file(run.logs_path, SEARCH, run.workers_path), display:
        keep_graphs(run.path, own.graphs)
        config = run.begin(wanted)
        where = storage_of(run, config, means.storage)
        wait_for_orphans(run.workers_path, seconds=10)
        set_aside(run, config.request, means.anew, display.say)
        for notice in (
            *means.notices,
            *request.pruning.idle(request.recipe.epochs, request.trials),
            *dataset.notices,
            *taken,
            *map(own.as_named, named_twice(available.baselines)),
            *_own_rates(config),
            *run.set_aside_damaged(),
            *other_versions(config),
            *_short_heartbeat(config.study),
            *idle_determinism(request, means, available.gpus),
        ):
            display.say(notice)
        called = now()
        run.save(config)
        if config.precision is None:
            precision = settle_precision(request, run, means, available.gpus, display)
            config = dataclasses.replace(config, precision=precision)
            run.save(config)
        never_called = config.called is None
        config = dataclasses.replace(config, called=called)
        if isinstance(where, Path):
            study = open_or_rebuild(config, run, never_called, display.say)
            shared = Shared(config, run, study)
        else:
            shared = join(config, run, where, create=never_called)
        # Saved last, because workers may join from then on.
        run.save(config)
        known = Known(run)
        with shared.study.lock:
            Recovery(shared, known, display.say).requeue_orphans()
            release_orphans(shared)
            on_one_machine = isinstance(where, Path)
            run.sweep(alone=on_one_machine and not is_anyone_present(run.workers_path))
        shared.study.describe(config, [r for r in run.records() if r.subject.is_baseline])
        finished = known.candidates(shared.study.finished())
        done = [record for record in finished if record.counts]
        display.begin(request.trials, done)
        try:
            if means.workers != 0:
                slots = slots_of(means, run, config, available.gpus, display)
                Supervisor(shared, means.storage, display, deadline).run(slots)
            else:
                post = Post(means.devices[0], request.baselines, deadline)
                Worker(shared, load_engine(config.engine), display, post, dataset).work()
            _drop_checkpoints(shared)
        except TimeUp:
            command = resume_command(run, means)
            display.say(f"--timeout: {means.timeout:g} s have passed; to go on: {command}")
    return run.records()


def _check_options(
    request: SearchRequest, run: Run, means: Means
) -> tuple[SearchRequest, Dataset, Available, OwnNetworks]:
    """Checks what the options name, before a run folder is touched; raises InputError.

    Returns the request with each baseline once, under the first of its names.
    """
    if means.workers == 0 and len(means.devices) > 1:
        raise InputError(
            f"--device {','.join(means.devices)}: with --workers 0 there is one device only"
        )
    # Two names of one network would be trained twice, or by two workers in one folder.
    # Of one's own data, classes and shape are known when they are read; others are meanwhile.
    own = request.load_data() if is_own(request.dataset) else None
    info = own.info if own else dataset_info(request.dataset)
    networks = own_networks(request.baselines, run.path, len(info.classes))
    for spec in networks.baselines:
        request.recipe_of(request.baseline(spec))  # raises InputError
    with networks.at_hand() as there:
        specs = tuple(there.values())
        with checked(means.engine, means.devices, specs, info, request.precision) as available:
            dataset = own or request.load_data()
            _check_space(request.space, dataset)
    available.rename({at_hand: spec for spec, at_hand in there.items()})
    baselines = tuple(dict.fromkeys(available.baselines[spec] for spec in networks.baselines))
    check_names(baselines)
    request = dataclasses.replace(request, baselines=baselines)
    return request.with_rates(available.scales), dataset, available, networks


def _drop_checkpoints(shared: Shared) -> None:
    """Removes what interrupted trainings left behind, unless other workers still train."""
    with shared.study.lock:
        if not shared.study.running() and not list(shared.run.path.glob("*/*.claim")):
            shared.run.drop_checkpoints()


def _own_rates(config: RunConfig) -> list[str]:
    rates = {} if config.called else config.request.baseline_rates
    return [
        f"baseline {name}: learning rate {rate:g}, because of the size of its weights "
        "(NAME:lr=RATE has another)"
        for name, rate in rates.items()
    ]


def _config(request: SearchRequest, run: Run, dataset: Dataset, means: Means) -> RunConfig:
    return RunConfig(
        engine=means.engine,
        request=request.settled(dataset),
        data=DataFacts.of(dataset),
        study=StudyPlace(
            # Many runs may share a database.
            name=f"{run.path.resolve().name}-{secrets.token_hex(4)}",
            storage=public_url(means.storage) if means.storage else None,
            heartbeat=means.heartbeat,
        ),
        precision=None,
        called=None,
        created=now(),
        versions=versions(),
    )


def _short_heartbeat(place: StudyPlace) -> list[str]:
    """A notice if the workers of a database would not survive a restart of its server."""
    if not place.storage or place.storage.startswith("grpc:") or place.heartbeat >= MIN_HEARTBEAT:
        return []
    return [
        f"--heartbeat {place.heartbeat}: a server that restarts for longer makes living workers "
        f"count as dead; {MIN_HEARTBEAT} or more is recommended"
    ]


def storage_of(run: Run, config: RunConfig, url: str | None) -> Path | str:
    """The journal or database URL of a run's study.

    Raises InputError if `url` contradicts where the study was created.
    """
    begun = config.study.storage
    if begun and not url:
        raise InputError(
            f"{run.path}: its study is in {begun}: name it, with the password, by --storage URL "
            f"or the variable {STORAGE_VARIABLE}"
        )
    if url and not begun:
        raise InputError(f"{run.path}: its study is in its own journal, not in {public_url(url)}")
    return url or run.study_path


def _check_folder(run: Run, wanted: RunConfig, means: Means) -> None:
    """Raises InputError if a run cannot be created or resumed, before its folder is written to."""
    config = run.merged(wanted)
    check_lengths(run, config.request, means.anew)
    where = storage_of(run, config, means.storage)
    if isinstance(where, Path):
        return
    if config.called:
        join(config, run, where).study.close()
    else:
        close_storage(open_storage(where, config.study.heartbeat))


def join(config: RunConfig, run: Run, where: Path | str, create: bool = False) -> Shared:
    """Opens the study of a run, which may be missing only with `create`.

    Raises InputError if the storage cannot be used or the study was lost.
    """
    if isinstance(where, Path):
        place, remedy = str(run.study_path), REMEDY
    else:
        place, remedy = public_url(where), "start a new --run"
    try:
        study = SharedStudy.open(config, run.path, where, create)
    except InputError as error:
        text = str(error)
        if isinstance(error, StudyDamaged) and not text.endswith(remedy):
            text += f"; {remedy}"
        raise InputError(text if text.startswith(place) else f"{place}: {text}") from None
    last = max(run.candidate_numbers(), default=-1)
    if last >= study.size:
        raise InputError(
            f"{place}: the study has {counted(study.size, 'trial')}, but {run.path} holds a "
            f"record of trial {last}: the study was lost or replaced; {remedy}"
        )
    return Shared(config, run, study)


def join_and_work(
    run: Run,
    config: RunConfig,
    storage: str | None,
    data_dir: Path | None,
    display: Display,
    post: Post,
) -> None:
    """Works on a run that another process has started until no work is left.

    `data_dir` is the data folder on this machine, if it differs from that of the process that
    started the run. Raises InputError if the run is not ready or cannot be used here.
    """
    if not config.called:
        raise InputError(f"{run.config_path}: is not ready yet; nas-incep search begins a run")
    if data_dir:
        request = dataclasses.replace(config.request, data_dir=data_dir)
        config = dataclasses.replace(config, request=request)
    with run.kept():
        shared = join(config, run, storage_of(run, config, storage))
        Worker(shared, load_engine(config.engine), display, post).work()


def _check_space(space: SearchSpace, dataset: Dataset) -> None:
    """Raises InputError if a limit of the space excludes all its architectures on this data set."""
    info = dataset.info
    costs = cost_range(space, len(info.classes), info.image_shape)
    for key, limit in space.limits.items():
        if key == MAX_LATENCY:
            continue
        low, high = costs["macs" if key.endswith("macs") else "parameters"]
        if (limit < low) if key.startswith("max_") else (limit > high):
            raise InputError(
                f"space {space.name}: {key} is {limit:,}, but on {info.name} "
                f"its architectures have {low:,} to {high:,}"
            )
