"""From options, named alike on the command line and in Python, to a search.

Importing this module is cheap: the process can be configured before a framework is imported.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .._machine import FLOAT32, too_many_threads
from ..engines import AUTO, prepare, settled
from ..errors import InputError
from .defaults import (
    BASELINES,
    named_finals,
    named_pruning,
    named_warm_start,
    names_of,
    with_defaults,
)

if TYPE_CHECKING:
    from ..records import TrialRecord
    from ..results.config import RunConfig
    from ..results.fidelity import Fidelity
    from ..results.pruning import Pruning
    from ..results.request import SearchRequest
    from ..results.run import Run
    from .display import Display
    from .slots import Means


@dataclass(frozen=True)
class Plan:
    """A search that can begin: what is asked for, where, and with which resources."""

    request: SearchRequest
    run: Run
    means: Means

    def carry_out(self, display: Display) -> list[TrialRecord]:
        """Runs the search; see `tuner.search`."""
        from .loggers import logged
        from .tuner import search

        shown = logged(display, self.request.loggers, self.run)
        return search(self.request, self.run, shown, self.means)


def plan_search(
    space: str | Path,
    run: str | Path,
    *,
    dataset: str | None = None,
    data_dir: str | Path | None = None,
    image_size: int | None = None,
    channels: int | None = None,
    flip: bool = False,
    trials: int = 20,
    recipe: str | None = None,
    epochs: int | None = None,
    images_per_epoch: int | None = None,
    batch_size: int | None = None,
    optimizer: str | None = None,
    lr: float | None = None,
    momentum: float | None = None,
    wd: float | None = None,
    baseline: str | Sequence[str] | None = None,
    baseline_lr: str = "rule",
    objective: str = "accuracy",
    sampler: str = "tpe",
    pruner: str = "none",
    first_rung: int | None = None,
    reduction: int = 3,
    prune_by: str | None = None,
    timeout: float | None = None,
    trial_timeout: float | None = None,
    finals: float | str | None = None,
    final_epochs: int | None = None,
    keep: int = 10,
    max_params: int | None = None,
    max_macs: int | None = None,
    max_latency_ms: float | None = None,
    latency: bool = False,
    validation_size: int | None = None,
    seed: int = 0,
    workers: int | str | None = None,
    storage: str | None = None,
    heartbeat: int = 60,
    precision: str = FLOAT32,
    deterministic: bool = False,
    device: str = "auto",
    engine: str = AUTO,
    threads: int | None = None,
    warm_start: str | Path | None = None,
    from_top: int | None = None,
    logger: str | Sequence[str] | None = None,
    own_process: bool = False,
) -> Plan:
    """A search with the options of `nas-incep search`; the space's [training] has their defaults.

    `timeout`, `trial_timeout` and `heartbeat` are in seconds, `max_latency_ms` in milliseconds for
    one image, `max_macs` in multiply-accumulates for one image; `image_size` is in pixels.

    A process that is only there for the search (`own_process`) is configured for its engine. Raises
    InputError for an invalid option or a combination that makes no sense.
    """
    devices = _devices(device)
    engine, notices = _settled(engine, devices, Path(run))
    if own_process:
        prepare(engine, threads, ",".join(devices), deterministic)
    from ..datasets.form import image_form
    from ..recipe import get_recipe
    from ..results.request import SearchRequest
    from ..results.run import Run
    from ..spaces.reader import read_space, with_limits
    from .slots import Means, count_workers

    limits = {"max_params": max_params, "max_macs": max_macs, "max_latency_ms": max_latency_ms}
    chosen = with_limits(read_space(str(space)), limits)
    given = {
        "epochs": epochs,
        "images_per_epoch": images_per_epoch,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "learning_rate": lr,
        "momentum": momentum,
        "weight_decay": wd,
    }
    preset, changes, baseline = with_defaults(chosen.training, recipe, given, baseline)
    made = get_recipe(preset, **changes)
    begun = _begun_pruning(Run(Path(run)), pruner)
    request = SearchRequest(
        space=chosen,
        recipe=made,
        trials=trials,
        dataset=dataset or chosen.dataset or "digits",
        data_dir=Path(data_dir) if data_dir else None,
        image_form=image_form(image_size, channels, flip),
        validation_size=validation_size,
        seed=seed,
        objective=objective,
        sampler=sampler,
        pruning=named_pruning(pruner, first_rung, reduction, prune_by, made.epochs, begun),
        latency=latency,
        keep=keep,
        trial_timeout=trial_timeout,
        precision=precision,
        deterministic=deterministic,
        baselines=BASELINES if baseline is None else names_of("--baseline", baseline),
        baseline_lr=baseline_lr,
        finals=named_finals(finals, final_epochs, objective),
        warm_start=named_warm_start(warm_start, from_top),
        loggers=_loggers(logger or ()),
    )
    means = Means(
        workers=count_workers(workers),
        devices=devices,
        threads=threads,
        storage=storage,
        heartbeat=heartbeat,
        timeout=timeout,
        engine=engine,
        notices=(*notices, *too_many_threads(threads)),
    )
    return Plan(request, Run(Path(run)), means)


def plan_resume(
    run: str | Path,
    *,
    trials: int | None = None,
    baseline: str | Sequence[str] | None = None,
    finals: float | str | None = None,
    final_epochs: int | None = None,
    fidelity: Fidelity | None = None,
    anew: bool = False,
    logger: str | Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    timeout: float | None = None,
    workers: int | str | None = None,
    storage: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    own_process: bool = False,
) -> Plan:
    """The search of a run folder, to go on with; the options that are given replace the run's.

    With `anew` the finals, or the check, begin anew if they have begun with other epochs.
    `own_process` as in `plan_search`. Raises InputError if there is no run or an option is invalid.
    """
    from ..records import FIDELITY
    from ..results.fidelity import LEAST
    from ..results.run import RANKING, Run

    opened, devices = Run(Path(run)), _devices(device)
    config = opened.config()
    if own_process:
        prepare(config.engine, threads, ",".join(devices), config.request.deterministic)
    from .slots import Means, count_workers

    means = Means(
        workers=count_workers(workers),
        devices=devices,
        threads=threads,
        storage=storage,
        heartbeat=config.study.heartbeat,
        timeout=timeout,
        engine=config.engine,
        anew=((FIDELITY,) if fidelity else RANKING) if anew else (),
        notices=too_many_threads(threads),
    )
    request = _resumed(config, opened, trials, baseline, data_dir)
    if finals is not None or final_epochs is not None:
        now = request.finals
        share = now.share if finals is None else finals
        epochs = None if finals == "none" else final_epochs or now.epochs
        asked = named_finals(share, epochs, request.objective)
        request = dataclasses.replace(request, finals=asked)
    if logger is not None:
        request = dataclasses.replace(request, loggers=_loggers(logger))
    if fidelity and request.trials < LEAST:
        raise InputError(
            f"{run}: fidelity needs {LEAST} candidates or more, and the run has {request.trials}: "
            "--trials asks for more"
        )
    # Long trainings are only for who asks for them.
    request = dataclasses.replace(request, fidelity=fidelity)
    return Plan(request, opened, means)


def _loggers(given: str | Sequence[str]) -> tuple[str, ...]:
    """The loggers that are asked for; their names may be in any case, as on the command line."""
    return tuple(name.lower() for name in names_of("--logger", given))


def _resumed(
    config: RunConfig,
    run: Run,
    trials: int | None,
    baseline: str | Sequence[str] | None,
    data_dir: str | Path | None,
) -> SearchRequest:
    """The request of a run with what its next call changes. Raises InputError."""
    changes: dict[str, object] = {}
    if trials is not None:
        changes["trials"] = trials
    elif not config.called and not config.request.trials:  # of a very old call that was killed
        raise InputError(
            f"{run.config_path}: does not say how many trials there are: give --trials"
        )
    if baseline is not None:
        changes["baselines"] = names_of("--baseline", baseline)
    if data_dir:
        changes["data_dir"] = Path(data_dir)
    return dataclasses.replace(config.request, **changes)  # type: ignore[arg-type]


def _devices(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _settled(engine: str, devices: tuple[str, ...], path: Path) -> tuple[str, tuple[str, ...]]:
    """The engine of a search, and what to say of it: a run that has begun keeps its own."""
    from ..results.run import Run

    run = Run(path)
    if engine == AUTO and run.config_path.exists():
        return run.config().engine, ()
    return settled(engine, ",".join(devices))


def _begun_pruning(run: Run, name: str) -> Pruning | None:
    """What a run that has begun with this pruner has settled about it."""
    begun = run.config().request.pruning if run.config_path.exists() else None
    return begun if begun and begun.name == name else None


def resume_command(run: Run, means: Means) -> str:
    """The command that goes on with a search that ends early, without a storage's password."""
    from ..study.urls import public_url

    words = ["nas-incep", "resume", str(run.path)]
    if means.storage:
        words += ["--storage", public_url(means.storage)]
    if means.workers is not None:
        words += ["--workers", str(means.workers)]
    if means.devices != ("auto",):
        words += ["--device", ",".join(means.devices)]
    if means.threads:
        words += ["--threads", str(means.threads)]
    return shlex.join(words)
