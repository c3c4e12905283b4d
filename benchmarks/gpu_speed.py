"""Parts of gpu.py: steps, loops, and processes side by side."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networks
from harness import verdict

from nas_incep.architecture import Architecture, Block
from nas_incep.datasets import Dataset
from nas_incep.engines.torch.capture import Steps
from nas_incep.engines.torch.packed import PackedNetwork
from nas_incep.engines.torch.runtime import torch
from nas_incep.engines.torch.training import Training
from nas_incep.recipe import Recipe

_MEDIUM = ((1, 32, 32, 64, 16, 16, 16), (1, 64, 64, 96, 16, 32, 32), (1, 96, 96, 128, 16, 48, 32))
SMALL = "small8"  # 10 million multiply-accumulates
NETWORKS = {
    SMALL: networks.NETWORKS["small8"],
    "small8 BN": networks.NETWORKS["small8 BN"],
    "medium BN": Architecture(tuple(Block(*b) for b in _MEDIUM), batch_norm=True),
    "notebook": networks.NETWORKS["notebook"],
}
LOOP_TARGET, WORKERS_TARGET = 0.95, 3.0


@dataclass(frozen=True)
class Setup:
    """What all parts are given."""

    device: str
    dataset: Dataset
    data_dir: Path | None
    short: bool
    candidates: int
    workers: str
    search_seconds: float

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    @property
    def seconds(self) -> float:
        """How long one figure is measured."""
        return 0.1 if self.short else 1.0

    @property
    def precisions(self) -> tuple[str, ...]:
        return ("float32", "bfloat16") if self.on_gpu else ("float32",)

    @property
    def precision(self) -> str:
        """That of the candidates."""
        return self.precisions[-1]

    def target(self, value: float) -> float | None:
        """A target, where it means something."""
        return None if self.short or not self.on_gpu else value


def training_of(architecture: Architecture, setup: Setup, precision: str) -> Training:
    settings = Recipe(epochs=1000, optimizer="sgd", learning_rate=0.02)
    network = PackedNetwork(architecture)
    return Training(network, setup.dataset, settings, 0, setup.device, precision)


def sync(setup: Setup) -> None:
    if setup.on_gpu:
        torch.cuda.synchronize()


def per_second(work: Callable[[], int], setup: Setup, seconds: float) -> float:
    """Images per second of work that returns how many it did."""
    images, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        images += work()
        sync(setup)
    return images / (time.perf_counter() - started)


def _steps_of(training: Training, step: Callable[[], None], count: int) -> Callable[[], int]:
    def work() -> int:
        training.restart()
        for _ in range(count):
            step()
        return count * training.batch_size

    return work


def _epoch(training: Training) -> int:
    sums = training.train_epoch()
    assert sums is not None
    return sums[2]


def steps(setup: Setup) -> Iterator[dict[str, Any]]:
    names = [SMALL, "small8 BN"] if setup.short else list(NETWORKS)
    ratios = []
    for name in names:
        for precision in setup.precisions:
            row = _steps_row(name, setup, precision)
            ratios.append(row["loop"] / max(row[way] for way in ("eager", "graph") if way in row))
            yield {**row, "loop_over_step": ratios[-1]}
            if setup.on_gpu:
                torch.cuda.empty_cache()
    question = "the loop / the bare step, the median of all networks and precisions"
    yield verdict(question, ratios, at_least=setup.target(LOOP_TARGET), part="steps")


def _steps_row(name: str, setup: Setup, precision: str) -> dict[str, Any]:
    training = training_of(NETWORKS[name], setup, precision)
    row: dict[str, Any] = {
        "part": "steps",
        "network": name,
        "macs": NETWORKS[name].macs,
        "precision": precision,
    }
    training.rewind(0)
    count = min(100, training.steps_per_epoch)
    for _ in range(min(40, count)):
        training.steps.run()  # decides between the two ways
    row["chosen"] = training.steps.chosen
    for way, step in training.steps.ways().items():
        work = _steps_of(training, step, count)
        work()
        row[way] = per_second(work, setup, setup.seconds)
    _epoch(training)
    row["loop"] = per_second(lambda: _epoch(training), setup, setup.seconds)
    started = time.perf_counter()
    training.run_epoch()
    row["epoch_seconds"] = time.perf_counter() - started
    return row


def workers(setup: Setup) -> Iterator[dict[str, Any]]:
    """Graphs and several processes, next to one process that runs steps one by one."""
    precision, seconds = setup.precision, 3 * setup.seconds
    row = {"part": "workers", "network": SMALL, "precision": precision}
    eager = _together(1, f"eager:{precision}", setup, seconds)
    yield {**row, "workers": 1, "steps": "eager", "images_per_second": eager}
    speeds = {}
    for count in (1, 2) if setup.short else (1, 2, 4):
        speeds[count] = _together(count, f"chosen:{precision}", setup, seconds)
        yield {**row, "workers": count, "steps": "chosen", "images_per_second": speeds[count]}
    best = max(speeds, key=lambda count: speeds[count])
    yield verdict(
        f"{SMALL}: graphs and several workers / eager steps in one process",
        [speeds[best] / eager],
        at_least=setup.target(WORKERS_TARGET),
        part="workers",
        workers=best,
    )


def _together(count: int, what: str, setup: Setup, seconds: float) -> float:
    """Images per second of so many processes at the same time."""
    script = str(Path(__file__).with_name("gpu.py"))
    command = [sys.executable, script, "--serve", what, "--device", setup.device]
    command += ["--data-dir", str(setup.data_dir)] if setup.data_dir else []
    command += ["--short"] if setup.short else []
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for child in children:
        assert child.stdout
        child.stdout.readline()
    for child in children:
        assert child.stdin
        child.stdin.write(f"{seconds}\n")
        child.stdin.flush()
    return sum(float(child.communicate()[0]) for child in children)


def serve(setup: Setup, what: str) -> None:
    """The other side of `_together`, in a process of its own."""
    steps, _, precision = what.partition(":")
    training = training_of(NETWORKS[SMALL], setup, precision)
    if steps == "eager":
        training.steps = Steps(training.step, setup.on_gpu, capturable=False)
    _epoch(training)
    print("ready", flush=True)
    print(per_second(lambda: _epoch(training), setup, float(sys.stdin.readline())))
