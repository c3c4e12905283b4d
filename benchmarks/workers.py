"""Do N workers on N cores train more than one with N threads?

    python benchmarks/workers.py [--short] [--threads N] [--network NAME]

Each worker trains the same network by the whole loop, all at once, started by the same word. The
images of all of them count over the time until the last is done.
"""

from __future__ import annotations

from typing import Any

import networks
import ours
from harness import (
    Contestant,
    environment,
    fastest,
    options,
    race,
    ratios,
    rounds,
    serve,
    spread,
    verdict,
    write,
)

TARGET = 1.0
SHORT = ("small8",)  # the notebook's on one thread would take most of the short form's time


def divisions(threads: int) -> list[int]:
    """How many workers to try: 1, 2, 4, ... and one for each thread."""
    return sorted({1, threads, *(2**k for k in range(threads.bit_length()) if 2**k < threads)})


def compare(
    engine: str, network: str, precision: str, batches: int, threads: int, count: int
) -> list[Any]:
    """The rows of one network."""
    teams = [(workers, threads // workers) for workers in divisions(threads)]
    if threads > 1:
        teams.append((1, 1))
    contestants = [
        Contestant(
            f"{workers} x {each}",
            ours.asked(network, precision, batches, each, engine),
            environment(),
            "loop",
            copies=workers,
        )
        for workers, each in teams
    ]
    speeds = race(contestants, count)
    what = {
        "engine": engine,
        "network": network,
        "precision": precision,
        "images": batches * networks.BATCH,
    }
    rows: list[Any] = [
        {**what, "workers x threads": name, "images_per_s": spread(values, 1)}
        for name, values in speeds.items()
    ]
    several = {name: values for name, values in speeds.items() if not name.startswith("1 x")}
    if several:
        many, one = fastest(several), fastest(speeds, "1 x")
        values = ratios(speeds[many], speeds[one])
        question = f"{engine}: {network}, {precision}: {many} / {one} workers x threads"
        rows.append(verdict(question, values, TARGET, **what))
    return rows


def main() -> None:
    parser = options(__doc__)
    networks.add_options(parser)
    args = parser.parse_args()
    if args.serve:
        serve({"ours": ours.blocks}, args.serve)
        return
    rows = []
    for network, batches in networks.chosen(args).items():
        if args.short and not args.network and network not in SHORT:
            continue
        for precision in ours.precisions():
            for engine in ours.ENGINES:
                rows += compare(engine, network, precision, batches, args.threads, rounds(args))
    write("workers", rows, args.threads, args.short)


if __name__ == "__main__":
    main()
