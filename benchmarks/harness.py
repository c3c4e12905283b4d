"""What all benchmarks share: their options, clock, contestants, and how they write what they found.

A contestant that needs an environment of its own (threads, memory, a framework's own OpenMP) is a
process of the same script, started with `--serve`. It builds its work, says `ready`, and for each
line on its standard input, the name of a block of work, does that block and answers with the number
of its images. So the contestants can take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.metadata
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nas_incep._machine import cpu_threads, versions

RESULTS = Path(__file__).parent / "results"
# Never published, and elsewhere where a test only looks whether the benchmarks run.
SHORT_RESULTS = Path(os.environ.get("NAS_INCEP_BENCHMARK_RESULTS", RESULTS / "short"))
ROUNDS, SHORT_ROUNDS = 7, 2
# A process that waits for ever is given up; no block takes that long.
PATIENCE = 900.0
# Of other work before the first measurement. OpenMP's threads that spin while they wait (PyTorch's,
# and plain MXNet's) suffer far more from it than others: figures count on an idle machine alone.
LOAD_BEFORE = round(os.getloadavg()[0], 2)

# What decides how fast a process computes and allocates; contestants get none of it from outside.
_DECIDING = ("OMP_", "GOMP_", "KMP_", "MALLOC_", "GLIBC_", "MXNET_", "MKL", "DNNL_", "ONEDNN_")

Blocks = Mapping[str, Callable[[], int]]  # work by name; each call gives the images it worked on


def options(doc: str, rounds: bool = True) -> argparse.ArgumentParser:
    """The options that every script has; `doc` is its docstring."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument(
        "--short", action="store_true", help="fewer rounds and less data, into results/short"
    )
    parser.add_argument("--threads", type=int, default=cpu_threads())
    if rounds:
        parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}, short {SHORT_ROUNDS}")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    return parser


def rounds(args: argparse.Namespace) -> int:
    return args.rounds or (SHORT_ROUNDS if args.short else ROUNDS)


def conditions(threads: int | None = None) -> dict[str, Any]:
    """Processor, number of CPUs, threads, other work and versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    known = dict(line.replace("\t", "").split(": ", 1) for line in lines if ": " in line)
    model = known.get("model name", "")
    if "cpu family" in known:  # names alone do not tell the generation
        model += f", family {known['cpu family']}, model {known.get('model', '')}"
    found = versions()
    if has_torch():
        found["torch"] = importlib.metadata.version("torch")
    return {
        "processor": model,
        "cpus": len(os.sched_getaffinity(0)),
        "threads": threads or cpu_threads(),
        "load_before": LOAD_BEFORE,
        "versions": found,
    }


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median, quartiles (of one or two values: both ends) and number of repeated measurements."""
    if len(values) < 3:
        low, median, high = min(values), statistics.median(values), max(values)
    else:
        low, median, high = statistics.quantiles(values, n=4)
    return {
        "median": round(median, digits),
        "low": round(low, digits),
        "high": round(high, digits),
        "n": len(values),
    }


def verdict(
    question: str,
    values: Sequence[float],
    at_least: float | None = None,
    below: float | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A row that `run_all.py` shows: a question's figure, and whether it meets the target."""
    median = statistics.median(values)
    row = {"question": question, **more, "measured": spread(values)}
    if at_least is not None:
        row |= {"target": f">= {at_least:g}", "met": median >= at_least}
    if below is not None:
        row |= {"target": f"< {below:g}", "met": median < below}
    return row


def write(
    name: str, rows: Sequence[dict[str, Any]], threads: int | None = None, short: bool = False
) -> None:
    """Prints the rows, and writes them with the conditions to `results/NAME.jsonl`."""
    folder = SHORT_RESULTS if short else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.jsonl", "w", encoding="utf-8") as file:
        for row in [conditions(threads), *rows]:
            line = json.dumps(row)
            print(line, flush=True)
            file.write(line + "\n")


def round_robin(
    contestants: Mapping[str, Callable[[], float]], count: int, warm_up: int = 0
) -> dict[str, list[float]]:
    """What each contestant measures in each of `count` rounds.

    They take turns, so that what slows the machine down for a while hits all of them alike.
    """
    for _ in range(warm_up):
        for measure in contestants.values():
            measure()
    measured: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(count):
        for name, measure in contestants.items():
            measured[name].append(measure())
    return measured


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Round by round: a round's two measurements were made under the same conditions."""
    return [a / b for a, b in zip(over, under)]


def fastest(speeds: Mapping[str, Sequence[float]], having: str = "") -> str:
    """The contestant, of those whose names begin so, with the highest median."""
    names = [name for name in speeds if name.startswith(having)]
    return max(names, key=lambda name: statistics.median(speeds[name]))


# ---- processes ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contestant:
    """A way to do the work, in a process of its own, or in several."""

    name: str
    asked: Mapping[str, Any]  # the script's builder of blocks, as `what`, and its arguments
    environment: Mapping[str, str]
    block: str = "go"
    optional: bool = False  # where it does not work, that is said and it is left out
    copies: int = 1  # as many processes, each of which does all of the block, all at once


@dataclass(frozen=True)
class Child:
    """The running process of a contestant."""

    name: str
    process: subprocess.Popen[str]
    complaints: IO[str]


class Failed(SystemExit):
    """A contestant's process has ended, with these last words; uncaught, so does this program."""


def environment(**settings: str) -> dict[str, str]:
    """This process's own without anything that decides speed, and with `settings`."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(_DECIDING)}
    return {**own, **settings}


@contextlib.contextmanager
def started(contestant: Contestant) -> Iterator[Child]:
    """The process of a contestant, ready but not yet warm. Raises Failed."""
    command = [sys.executable, sys.argv[0], "--serve", json.dumps(dict(contestant.asked))]
    with tempfile.TemporaryFile("w+", errors="replace") as complaints:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=dict(contestant.environment),
            start_new_session=True,  # so that its own children can be ended with it
        )
        try:
            child = Child(contestant.name, process, complaints)
            if _hear(child) != "ready":
                raise Failed(f"{contestant.name}: is not ready, but says something else")
            yield child
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()  # the polite way: it then ends by itself
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()


def speed(children: Sequence[Child], block: str = "go") -> float:
    """Images a second of one block, done by all of them at once. Raises Failed.

    The images of all count over the time until the last is done.
    """
    begun = time.perf_counter()
    for child in children:
        with contextlib.suppress(BrokenPipeError):  # it has ended, and its answer will say why
            child.process.stdin.write(block + "\n")
            child.process.stdin.flush()
    images = sum(int(_hear(child)) for child in children)
    return images / (time.perf_counter() - begun)


def _hear(child: Child) -> str:
    timer = threading.Timer(PATIENCE, os.killpg, (child.process.pid, signal.SIGKILL))
    timer.daemon = True
    timer.start()
    line = child.process.stdout.readline()
    timer.cancel()
    if line:
        return line.strip()
    status = child.process.wait()
    child.complaints.seek(0)
    words = [text.strip() for text in child.complaints if text.strip()]
    raise Failed(f"{child.name}: {words[-1] if words else f'ended with status {status}'}")


def race(contestants: Sequence[Contestant], count: int) -> dict[str, list[float]]:
    """Images a second of each contestant in each round; one contestant is at work at any time.

    Raises Failed where one fails, unless it is optional and does so while it warms up.
    """
    with contextlib.ExitStack() as stack:
        turns: dict[str, Callable[[], float]] = {}
        for contestant in contestants:  # one after the other: their warm-ups compute, too
            try:
                children = [
                    stack.enter_context(started(contestant)) for _ in range(contestant.copies)
                ]
                speed(children, contestant.block)
            except Failed as failure:
                if not contestant.optional:
                    raise
                print(f"left out: {failure}", file=sys.stderr)
                continue
            turns[contestant.name] = functools.partial(speed, children, contestant.block)
        return round_robin(turns, count)


def serve(builders: Mapping[str, Callable[..., Blocks]], asked: str) -> None:
    """The other side, in the contestant's process: until its standard input ends."""
    arguments = json.loads(asked)
    with contextlib.redirect_stdout(sys.stderr):  # libraries' chatter is no answer
        blocks = builders[arguments.pop("what")](**arguments)
    print("ready", flush=True)
    for line in sys.stdin:
        print(blocks[line.strip()](), flush=True)
