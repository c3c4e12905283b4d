"""What a busy neighbor costs: workers beside no, one and two other busy processes.

    python benchmarks/neighbors.py [--rounds N] [--seconds S]

Ways to use the cores: one worker with a thread for each core, one worker a core with one thread
each, and one worker with one thread. All take turns, with each number of neighbors.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness import LOAD_BEFORE, write

from nas_incep._machine import cpu_threads
from nas_incep.architecture import Architecture, Block
from nas_incep.datasets import load
from nas_incep.engines.base import Job
from nas_incep.engines.gluon.tuning import tune
from nas_incep.engines.tuning import tune_process
from nas_incep.recipe import Recipe
from nas_incep.records import CANDIDATE, Subject

# Ends with this process, however that ends.
BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"
# Blocks, and whether with batch normalization: of the space `quick`, and twice as wide.
NETWORKS = {
    "quick": ((Block(1, 16, 16, 16, 8, 8, 8), Block(2, 32, 24, 32, 16, 16, 16)), True),
    "wide": ((Block(2, 32, 32, 64, 16, 32, 32), Block(2, 64, 64, 96, 16, 48, 48)), True),
}


def serve(engine_name: str, network: str, threads: int, seconds: float) -> None:
    """Prints the images per second of one worker."""
    (tune if engine_name == "gluon" else tune_process)(threads)
    from nas_incep.engines import load_engine

    architecture = Architecture(*NETWORKS[network], input_shape=(1, 8, 8))
    job = Job(
        Subject(CANDIDATE, 0, architecture.identity, 0, architecture),
        load("digits"),
        Recipe(batch_size=128),
        "cpu",
        "float32",
        Path(),
    )

    def ready() -> None:
        print("ready", flush=True)
        sys.stdin.readline()

    print(json.dumps(load_engine(engine_name).images_per_second(job, seconds, ready)), flush=True)


def measure(engine: str, network: str, workers: int, threads: int, seconds: float) -> float:
    """The images per second of some workers together."""
    command = [sys.executable, __file__, "--serve", engine, network, str(threads), str(seconds)]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    for child in children:
        assert child.stdout and child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin
        child.stdin.write("\n")
        child.stdin.flush()
    return sum(float(child.communicate()[0]) for child in children)


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        engine, network, threads, seconds = sys.argv[2:]
        serve(engine, network, int(threads), float(seconds))
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--engines", nargs="*", default=["gluon", "torch"])
    args = parser.parse_args()
    cores = cpu_threads()
    ways = {"1 worker, all threads": (1, cores), "1 worker a core": (cores, 1), "1 thread": (1, 1)}
    figures: dict[tuple[str, ...], list[float]] = {}
    for _ in range(args.rounds):
        for neighbors in (0, 1, 2):
            command = [sys.executable, "-c", BUSY, str(os.getpid())]
            busy = [subprocess.Popen(command) for _ in range(neighbors)]
            try:
                for engine in args.engines:
                    for network in ("quick", "wide"):
                        for way, (workers, threads) in ways.items():
                            speed = measure(engine, network, workers, threads, args.seconds)
                            key = (engine, network, way, str(neighbors))
                            figures.setdefault(key, []).append(speed)
                            print(*key, round(speed), flush=True)
            finally:
                for process in busy:
                    process.kill()
                    process.wait()
    rows: list[dict[str, Any]] = [{"load_before": LOAD_BEFORE, "rounds": args.rounds}]
    for (engine, network, way, neighbors), speeds in figures.items():
        idle = statistics.median(figures[engine, network, way, "0"])
        median = statistics.median(speeds)
        rows.append(
            {
                "engine": engine,
                "network": network,
                "way": way,
                "neighbors": int(neighbors),
                "images_per_second": round(median),
                "least": round(min(speeds)),
                "most": round(max(speeds)),
                "of_idle": round(median / idle, 2),
            }
        )
    write("neighbors", rows)


if __name__ == "__main__":
    main()
