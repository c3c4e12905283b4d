"""How a search computes: its workers, their devices, threads and baselines, and the precision."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from .._machine import FLOAT32, cpu_threads
from ..errors import InputError
from ..records import FIRST_ENGINE
from ..results.config import RunConfig
from ..results.request import AUTO, SearchRequest
from ..results.run import Run
from .autotune import best_precision, best_slots, measurement
from .display import Display
from .supervisor import Slot

MAX_WORKERS = 1000  # on one machine
# By default on a CPU. The sampler knows nothing of the networks that are still training, so more
# workers would each learn faster and the search more slowly; beyond that, workers get more threads.
MAX_DEFAULT_WORKERS = 8
# How many workers on each GPU AUTO measures: a GPU takes the kernels of several processes in turns,
# so a second one gains where the first leaves gaps, and a fifth has hardly any left.
WORKERS_PER_GPU = (1, 2, 4)


@dataclass(frozen=True)
class Means:
    """The resources of a search. They do not affect results, apart from a device's rounding."""

    # Processes; 0: train in this process; None: one for each device, or on a CPU for each thread;
    # AUTO: as many as are measured to be fastest.
    workers: int | str | None = 0
    devices: tuple[str, ...] = ("auto",)
    threads: int | None = None  # CPU threads for all workers together; None: all
    storage: str | None = None  # the URL of a database; None: the run folder's journal
    heartbeat: int = 60  # seconds between heartbeats of a worker in a database
    timeout: float | None = None  # seconds for this call
    engine: str = FIRST_ENGINE
    anew: tuple[str, ...] = ()  # the stages that begin anew if they have other epochs
    notices: tuple[str, ...] = ()  # what the user is told before the search begins


def count_workers(given: int | str | None) -> int | str | None:
    """The value of `--workers` as `Means` has it.

    Raises InputError for anything but a number or auto.
    """
    if given is None or given == AUTO:
        return given
    given = str(given)
    # The length is checked because Python refuses to read thousands of digits.
    if not given.isdecimal() or len(given) > 10 or int(given) > MAX_WORKERS:
        raise InputError(f"--workers {given}: a number up to {MAX_WORKERS} or auto is expected")
    return int(given)


def slots_of(means: Means, run: Run, config: RunConfig, gpus: int, display: Display) -> list[Slot]:
    """The slots of the workers: as many as asked for, or those that are measured to be fastest."""
    request, precision = config.request, config.precision or FLOAT32
    if means.workers != AUTO:
        return _divided(means, request, _count(means, request, gpus))
    plan = measured_slots(means, request, gpus)
    if len(plan) == 1:
        ((count, slots),) = plan.items()
        display.say(f"--workers auto: {count} (the only choice)")
        return slots
    return best_slots(plan, measurement(run, precision), display, climbing=_only_gpus(means, gpus))


def measured_slots(means: Means, request: SearchRequest, gpus: int) -> dict[int, list[Slot]]:
    """The sets of slots that AUTO compares, by their size and in this order; one is no choice.

    `gpus` is the number of GPUs that work. Each GPU has as many workers as any other.
    """
    if _only_gpus(means, gpus):
        if means.devices == ("auto",):
            means = dataclasses.replace(means, devices=tuple(f"gpu:{k}" for k in range(gpus)))
        # Workers on one GPU would slow down one another's measured latency.
        each = (1,) if request.measures_latency else WORKERS_PER_GPU
        trainings = max(len(means.devices), request.trials + len(request.baselines))
        counts = [n * len(means.devices) for n in each if n * len(means.devices) <= trainings]
    elif len(means.devices) > 1:
        counts = [len(means.devices)]
    else:
        threads = means.threads or cpu_threads()
        powers = (2**k for k in range(threads.bit_length()) if 2**k < threads)
        counts = sorted({1, *powers, threads})
    return {count: _divided(means, request, count) for count in counts}


def _only_gpus(means: Means, gpus: int) -> bool:
    kinds = {device.partition(":")[0] for device in means.devices}
    return kinds == {"gpu"} or (means.devices == ("auto",) and gpus > 0)


def _only_cpus(means: Means, gpus: int) -> bool:
    devices = {device.partition(":")[0] for device in means.devices}
    return devices == {"cpu"} or (devices == {"auto"} and not gpus)


def _count(means: Means, request: SearchRequest, gpus: int) -> int:
    """How many workers there are where the user leaves it open, or has given a number.

    On a CPU, workers with one thread each are faster than one with all threads, and they do not
    wait for one another when other programs take a part of the processor: see docs/speed.md. But
    they would slow down one another's measured latency.
    """
    if isinstance(means.workers, int):
        return max(1, means.workers)
    if len(means.devices) > 1 or not _only_cpus(means, gpus):
        return len(means.devices)
    if request.measures_latency:
        return 1
    trainings = request.trials + len(request.baselines)
    return max(1, min(means.threads or cpu_threads(), trainings, MAX_DEFAULT_WORKERS))


def idle_determinism(request: SearchRequest, means: Means, gpus: int) -> tuple[str, ...]:
    """A notice if `--deterministic` changes nothing."""
    if not request.deterministic or not _only_cpus(means, gpus):
        return ()
    return ("--deterministic changes nothing on a CPU: equal trainings have equal figures there",)


def settle_precision(
    request: SearchRequest, run: Run, means: Means, gpus: int, display: Display
) -> str:
    """The precision in which the candidates are trained, decided once per run."""
    precision = request.precision
    if precision == AUTO:
        first = _divided(means, request, _count(means, request, gpus))[0]
        slot = dataclasses.replace(first, device="cpu" if _only_cpus(means, gpus) else "gpu")
        precision = best_precision(run, slot, display)
    return precision


def _divided(means: Means, request: SearchRequest, count: int) -> list[Slot]:
    """Slots for `count` workers: devices in turn, CPU threads and baselines divided."""
    threads = max(1, (means.threads or cpu_threads()) // count)
    return [
        Slot(means.devices[k % len(means.devices)], threads, request.baselines[k::count])
        for k in range(count)
    ]
