"""Resolve `auto` by measurement: the fastest number of workers and the fastest precision."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from .._machine import BFLOAT16, FLOAT32, has_bfloat16
from .._processes import last_sentence, own_command, signal_name
from .._text import counted
from ..architecture import Architecture
from ..datasets import DatasetInfo
from ..engines import load_engine
from ..engines.base import Job
from ..errors import InputError, WorkerFault
from ..records import CANDIDATE, Subject
from ..results.config import RunConfig
from ..results.run import Run
from ..spaces.points import Point, RandomPoint
from ..spaces.space import SearchSpace, over_limits
from .display import Display
from .scheduler import MAX_FRUITLESS
from .supervisor import Slot

_Way = TypeVar("_Way")

SECONDS = 3.0  # for each measurement, in addition to the time to load MXNet


def example(space: SearchSpace, info: DatasetInfo) -> Architecture:
    """The first network within the limits of the space: a reference, or else a random sample.

    Raises InputError if none is found.
    """
    references = [Point(parameters) for parameters in space.reference_parameters()]
    rng = random.Random(0)
    points: list[Point | RandomPoint] = [
        *references,
        *(RandomPoint(rng) for _ in range(MAX_FRUITLESS)),
    ]
    for point in points:
        with contextlib.suppress(InputError):  # an impossible network
            architecture = space.sample(point, len(info.classes), info.image_shape)
            if not over_limits(space.limits, architecture):
                return architecture
    raise InputError(
        f"space {space.name}: none of {MAX_FRUITLESS} samples can be trained on {info.name} "
        "within the limits, so there is nothing to measure"
    )


def best_precision(run: Run, slot: Slot, display: Display) -> str:
    """The precision in which a worker trains the most images per second; reports the speeds."""
    choices = precisions(slot.device)
    if len(choices) == 1:
        display.say(f"--precision auto: {choices[0]} (the only choice on this {slot.device})")
        return choices[0]
    speeds = speeds_of(
        choices, lambda precision: _together(run, [slot], precision), display.say, False
    )
    if not speeds:
        raise InputError("none of these could be measured, so auto cannot choose")
    best = max(speeds, key=lambda precision: speeds[precision])
    measured = ", ".join(f"{name} {speed:,.0f} images/s" for name, speed in speeds.items())
    warning = "" if best == FLOAT32 else "; accuracies may differ from those in float32"
    display.say(f"--precision auto: {best} (measured: {measured}){warning}")
    return best


def precisions(device: str) -> list[str]:
    """The precisions that `auto` chooses from. float16 can overflow, so it is opt-in."""
    return [FLOAT32, BFLOAT16] if device == "cpu" and has_bfloat16() else [FLOAT32]


def measurement(run: Run, precision: str) -> Callable[[list[Slot]], float]:
    """What measures a set of slots: images per second of all its workers at the same time.

    They train a network of the space. It raises InputError if that does not work.
    """
    return lambda slots: _together(run, slots, precision)


def best_slots(
    slots_by_count: Mapping[int, list[Slot]],
    measure: Callable[[list[Slot]], float],
    display: Display,
    climbing: bool = False,
) -> list[Slot]:
    """The set of slots that together train the most images per second; reports the speeds.

    With `climbing` the sets are larger and larger loads of the same GPUs: a set that is slower than
    the one before it, or does not fit, ends the measurements, and if not even the first one can be
    measured, it is taken, for a search says more of what is wrong. Otherwise all sets are measured,
    and InputError is raised if none can be.
    """
    speeds = speeds_of(
        tuple(slots_by_count), lambda count: measure(slots_by_count[count]), display.say, climbing
    )
    if not speeds:
        if climbing:
            return next(iter(slots_by_count.values()))
        raise InputError("none of these could be measured, so auto cannot choose")
    best = max(speeds, key=lambda count: speeds[count])
    measured = ", ".join(
        f"{count} with {counted(slots_by_count[count][0].threads, 'thread')} {speed:,.0f} images/s"
        for count, speed in speeds.items()
    )
    display.say(f"--workers auto: {best} (measured: {measured})")
    return slots_by_count[best]


def measure_speed(
    config: RunConfig,
    run: Run,
    device: str,
    precision: str,
    seconds: float,
    ready: Callable[[], None],
) -> float:
    """The training speed of this process on a network of the run's space, in images per second.

    `seconds` is how long to measure; `ready` is called just before the measurement starts. Raises
    InputError if the device, the data or the space cannot be used.
    """
    request = config.request
    dataset = request.load_data()
    architecture = example(request.space, dataset.info)
    engine = load_engine(config.engine)
    job = Job(
        subject=Subject(CANDIDATE, 0, architecture.identity, 0, architecture),
        dataset=dataset,
        recipe=request.recipe,
        device=engine.resolve(device),
        precision=precision,
        checkpoint=run.path / "no.checkpoint",
        deterministic=request.deterministic,
    )
    return engine.images_per_second(job, seconds, ready)


def speeds_of(
    ways: Sequence[_Way],
    measure: Callable[[_Way], float],
    say: Callable[[str], None],
    climbing: bool,
) -> dict[_Way, float]:
    """Images per second of each way that works; memory may be too small for some of them.

    With `climbing` nothing is measured after a way that fails or is slower than the one before.
    """
    speeds: dict[_Way, float] = {}
    fastest = 0.0
    for way in ways:
        try:
            speeds[way] = measure(way)
        except InputError as error:
            say(f"{way} cannot be measured: {error}")
            if climbing:
                break
            continue
        if climbing and speeds[way] < fastest:
            break
        fastest = speeds[way]
    return speeds


def _together(run: Run, slots: list[Slot], precision: str) -> float:
    """The total images per second of all slots, measured at the same time."""
    command = own_command("measure", run.path, "--seconds", SECONDS, "--precision", precision)
    processes = [
        subprocess.Popen(
            [*command, "--device", slot.device, "--threads", str(slot.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for slot in slots
    ]
    try:
        for process in processes:  # each reports that it is ready, then waits for the others
            assert process.stdout
            process.stdout.readline()
        for process in processes:
            assert process.stdin
            with contextlib.suppress(BrokenPipeError):  # it has exited; the reason follows below
                process.stdin.write("go\n")
                process.stdin.flush()
        results = [process.communicate() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for process, (_, complaint) in zip(processes, results):
        if process.returncode:
            words = last_sentence(complaint) or f"it ended by {signal_name(process.returncode)}"
            # Too little memory for so many may end a process in any way but by a fault of ours.
            raise (WorkerFault if process.returncode == 1 else InputError)(words)
    return sum(json.loads(said) for said, _ in results)
