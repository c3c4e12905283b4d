"""Do N workers on N cores train more than one with N threads?

    python benchmarks/workers.py [--short] [--threads N] [--network NAME]

Each worker trains the same network by the whole loop, all at once, started by the same word. The
images of all of them count over the time until the last is done.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import networks
import ours
from harness import (
    Child,
    Contestant,
    answer,
    environment,
    fastest,
    options,
    ratios,
    round_robin,
    rounds,
    serve,
    spread,
    started,
    tell,
    verdict,
    write,
)

TARGET = 1.0
SHORT = ("small8",)  # the notebook's on one thread would take most of the short form's time


def divisions(threads: int) -> list[int]:
    """How many workers to try: 1, 2, 4, ... and one for each thread."""
    return sorted({1, threads, *(2**k for k in range(threads.bit_length()) if 2**k < threads)})


def together(children: Sequence[Child]) -> Callable[[], float]:
    """Images a second of all of them at work at once."""

    def measure() -> float:
        begun = time.perf_counter()
        for child in children:
            tell(child, "loop")
        images = sum(answer(child)[0] for child in children)
        return images / (time.perf_counter() - begun)

    return measure


def compare(network: str, precision: str, batches: int, threads: int, count: int) -> list[Any]:
    """The rows of one network."""
    with contextlib.ExitStack() as stack:
        teams = {}
        for workers in divisions(threads):
            asked = ours.asked(network, precision, batches, threads // workers)
            contestant = Contestant(f"{network}, {workers} workers", asked, environment())
            children = [stack.enter_context(started(contestant)) for _ in range(workers)]
            teams[f"{workers} x {threads // workers}"] = children
        # One thread alone: the others of its team wait.
        teams["1 x 1"] = teams[f"{threads} x 1"][:1]
        speeds = round_robin({name: together(team) for name, team in teams.items()}, count, 1)
    what = {"network": network, "precision": precision, "images": batches * networks.BATCH}
    rows: list[Any] = [
        {**what, "workers x threads": name, "images_per_s": spread(values, 1)}
        for name, values in speeds.items()
    ]
    several = {name: values for name, values in speeds.items() if not name.startswith("1 x")}
    if several:
        many, one = fastest(several), fastest(speeds, "1 x")
        values = ratios(speeds[many], speeds[one])
        question = f"{network}, {precision}: {many} / {one} workers x threads"
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
            rows += compare(network, precision, batches, args.threads, rounds(args))
    write("workers", rows, args.threads, args.short)


if __name__ == "__main__":
    main()
