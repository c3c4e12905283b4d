"""What a busy neighbor costs: workers beside no, one and two other busy processes.

    python benchmarks/neighbors.py [--short] [--threads N]

Ways to use the cores: one worker with all threads, one worker a core with one thread each, and one
worker with one thread. With each number of neighbors all take turns.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import (
    Blocks,
    Contestant,
    environment,
    has_torch,
    options,
    race,
    rounds,
    serve,
    spread,
    write,
)

from nas_incep.architecture import Architecture, Block
from nas_incep.datasets import load
from nas_incep.engines import load_engine, prepare
from nas_incep.engines.base import Job
from nas_incep.recipe import Recipe
from nas_incep.records import CANDIDATE, Subject

# Ends with this process, however that ends.
BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"
# Blocks, and whether with batch normalization: of the space `quick`, and twice as wide.
NETWORKS = {
    "quick": ((Block(1, 16, 16, 16, 8, 8, 8), Block(2, 32, 24, 32, 16, 16, 16)), True),
    "wide": ((Block(2, 32, 32, 64, 16, 32, 32), Block(2, 64, 64, 96, 16, 48, 48)), True),
}


def blocks(engine: str, network: str, threads: int) -> Blocks:
    """`go`: an epoch of the digits by one worker. The rate is zero, so that nothing diverges."""
    prepare(engine, threads, "cpu")
    architecture = Architecture(*NETWORKS[network], input_shape=(1, 8, 8))
    subject = Subject(CANDIDATE, 0, architecture.identity, 0, architecture)
    recipe = Recipe(batch_size=128, optimizer="sgd", learning_rate=0.0)
    job = Job(subject, load("digits"), recipe, "cpu", "float32", Path())
    backend: Any = load_engine(engine)
    training = backend.begin(job)
    return {"go": lambda: training.train_epoch()[2]}


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes compute while the block runs."""
    command = [sys.executable, "-c", BUSY, str(os.getpid())]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def compare(engine: str, network: str, threads: int, count: int) -> list[dict[str, Any]]:
    """The rows of one network."""
    ways = dict.fromkeys([(1, threads), (threads, 1), (1, 1)])
    contestants = [
        Contestant(
            f"{workers} x {each}",
            {"what": "worker", "engine": engine, "network": network, "threads": each},
            environment(),
            copies=workers,
        )
        for workers, each in ways
    ]
    rows: list[dict[str, Any]] = []
    idle: dict[str, float] = {}
    for neighbors in (0, 1, 2):
        with busy(neighbors):
            speeds = race(contestants, count)
        for name, values in speeds.items():
            median = statistics.median(values)
            rows.append(
                {
                    "engine": engine,
                    "network": network,
                    "workers x threads": name,
                    "neighbors": neighbors,
                    "images_per_s": spread(values, 1),
                    "of_idle": round(median / idle.setdefault(name, median), 2),
                }
            )
    return rows


def main() -> None:
    parser = options(__doc__)
    args = parser.parse_args()
    if args.serve:
        serve({"worker": blocks}, args.serve)
        return
    rows = []
    for engine in ("gluon", "torch") if has_torch() else ("gluon",):
        for network in list(NETWORKS)[: 1 if args.short else None]:
            rows += compare(engine, network, args.threads, rounds(args))
    write("neighbors", rows, args.threads, args.short)


if __name__ == "__main__":
    main()
