"""How close does the whole training loop come to the bare step?

    python benchmarks/training.py [--short] [--threads N] [--network NAME]

The loop draws, crops, flips and normalizes its images, counts the right answers and watches for
divergence; the bare step goes forward, backward and updates, on one batch that lies there already.
Both take turns in one process, so they have the same network and memory.
"""

from __future__ import annotations

from typing import Any

import networks
import ours
from harness import (
    Contestant,
    environment,
    options,
    ratios,
    round_robin,
    rounds,
    serve,
    speed,
    spread,
    started,
    verdict,
    write,
)

TARGET = 0.97
# An epoch has some steps of its own, at its start and end; real ones are longer still.
LONGER = 4


def compare(
    engine: str, network: str, precision: str, batches: int, threads: int, count: int
) -> list[Any]:
    """The rows of one network."""
    name = f"{engine}: {network}, {precision}"
    asked = ours.asked(network, precision, batches, threads, engine)
    with started(Contestant(name, asked, environment())) as child:
        turns = {
            "loop": lambda: speed([child], "loop"),
            "step": lambda: speed([child], "step"),
        }
        speeds = round_robin(turns, count, warm_up=1)
    what = {
        "engine": engine,
        "network": network,
        "precision": precision,
        "images": batches * networks.BATCH,
    }
    return [
        *({**what, "of": of, "images_per_s": spread(speeds[of], 1)} for of in speeds),
        verdict(
            f"{name}: loop / bare step", ratios(speeds["loop"], speeds["step"]), TARGET, **what
        ),
    ]


def main() -> None:
    parser = options(__doc__)
    networks.add_options(parser)
    args = parser.parse_args()
    if args.serve:
        serve({"ours": ours.blocks}, args.serve)
        return
    rows = []
    for network, batches in networks.chosen(args).items():
        for precision in ours.precisions():
            length = batches if args.short else LONGER * batches
            for engine in ours.ENGINES:
                rows += compare(engine, network, precision, length, args.threads, rounds(args))
    write("training", rows, args.threads, args.short)


if __name__ == "__main__":
    main()
