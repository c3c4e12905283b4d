"""How fast is it beside what a user would do otherwise?

    python benchmarks/peers.py [--short] [--threads N] [--network NAME]

The same network, batch and images by every contestant, each in a process of its own. Two matches:

- Bare steps on one resident batch: those of our engines against PyTorch's, eager, in both memory
  layouts, as it comes, and again with the settings of the allocator that ours has. --short leaves
  the latter out.
- Whole loops, with random crops and flips and the training accuracy kept: ours against Gluon's
  DataLoader, transforms and Trainer in an environment without settings, and GluonCV's script for
  CIFAR-10. --short leaves the imperative mode out. MXNet takes by itself half the CPUs as threads;
  that it is told the number is a contestant, too, but not one that counts. Ours are one process
  with all threads, and as many workers as threads.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import networks
import ours
from harness import (
    Blocks,
    Contestant,
    environment,
    fastest,
    has_torch,
    options,
    race,
    ratios,
    rounds,
    serve,
    spread,
    verdict,
    write,
)

NOTEBOOK_STEP_TARGET, STEP_TARGET, LENT_TARGET, LOOP_TARGET = 1.2, 1.0, 1.0, 4.0
TUNED = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "2147483647",
}


def torch_blocks(**arguments: Any) -> Blocks:
    import torch_network

    return torch_network.blocks(**arguments)


def gluon_blocks(builder: str, **arguments: Any) -> Blocks:
    import plain_loops

    return getattr(plain_loops, builder)(**arguments)


BUILDERS: dict[str, Callable[..., Blocks]] = {
    "ours": ours.blocks,
    "torch": torch_blocks,
    "loop": functools.partial(gluon_blocks, "loop"),
    "script": functools.partial(gluon_blocks, "script"),
}


def our(
    network: str,
    precision: str,
    batches: int,
    threads: int,
    block: str,
    engine: str,
    workers: int = 1,
) -> Contestant:
    name = f"ours {engine} {block}, {precision}" + (f", {workers} workers" if workers > 1 else "")
    asked = ours.asked(network, precision, batches, threads // workers, engine)
    return Contestant(name, asked, environment(), block, copies=workers)


def pytorch(
    network: str, precision: str, batches: int, threads: int, short: bool
) -> list[Contestant]:
    asked = {"what": "torch", "network": network, "precision": precision, "batches": batches}
    settings = {"": environment()}
    if not short:
        settings["lent malloc: "] = environment(**TUNED)
    return [
        Contestant(
            f"{lent}pytorch {precision} {layout}",
            {**asked, "layout": layout, "threads": threads},
            variables,
            block="step",
        )
        for layout in ("contiguous", "channels-last")
        for lent, variables in settings.items()
    ]


def gluon(network: str, batches: int, threads: int, short: bool) -> list[Contestant]:
    common = {"what": "loop", "network": network, "batches": batches}
    plain = environment()
    hybridized = [
        Contestant(
            f"gluon hybridised, {workers} loaders",
            {**common, "hybridize": True, "workers": workers},
            plain,
            # MXNet's processes for loading are forked off one that has threads.
            optional=workers > 0,
        )
        for workers in (0, 2)
    ]
    script = {"what": "script", "network": network, "batches": batches}
    loops = [*hybridized, Contestant("gluoncv script", script, plain, optional=True)]
    if not short:
        imperative = {**common, "hybridize": False, "workers": 0}
        told = environment(OMP_NUM_THREADS=str(threads))
        loops += [
            Contestant("gluon imperative", imperative, plain),
            Contestant("told threads: gluon hybridised", hybridized[1].asked, told, optional=True),
        ]
    return loops


def match(
    network: str,
    contestants: Sequence[Contestant],
    pairs: Sequence[tuple[str, str, float | None]],
    count: int,
) -> list[dict[str, Any]]:
    """The speeds, and a ratio for each pair: a contestant, the beginning of its rivals' names."""
    speeds = race(contestants, count)
    rows = [
        {"network": network, "contestant": name, "images_per_s": spread(values, 1)}
        for name, values in speeds.items()
    ]
    for name, rivals, target in pairs:
        if not any(other.startswith(rivals) for other in speeds):
            continue  # all of them were left out
        best = fastest(speeds, rivals)
        values = ratios(speeds[name], speeds[best])
        question = f"{network}: {name} / best {rivals}"
        rows.append(verdict(question, values, target, network=network, best=best))
    return rows


def main() -> None:
    parser = options(__doc__)
    networks.add_options(parser)
    args = parser.parse_args()
    if args.serve:
        serve(BUILDERS, args.serve)
        return
    if not has_torch():
        print("PyTorch is not installed: its rows are left out", file=sys.stderr)
    rows: list[dict[str, Any]] = []
    for network, batches in networks.chosen(args).items():
        work = (batches, args.threads)
        for precision in ours.precisions():
            steps = [our(network, precision, *work, "step", engine) for engine in ours.ENGINES]
            target = NOTEBOOK_STEP_TARGET if network == "notebook" else STEP_TARGET
            rivals, pairs = [], []
            if has_torch():
                rivals = pytorch(network, precision, *work, args.short)
                pairs = [
                    pair
                    for step in steps
                    for pair in (
                        (step.name, f"pytorch {precision}", target),
                        (step.name, f"lent malloc: pytorch {precision}", LENT_TARGET),
                    )
                ]
            rows += match(network, [*steps, *rivals], pairs, rounds(args))
        loops = [
            our(network, precision, *work, "loop", engine, workers)
            for engine in ours.ENGINES
            for precision in ours.precisions()
            for workers in sorted({1, args.threads})  # as `--workers auto` may have it
        ]
        pairs = [(loop.name, "gluon", LOOP_TARGET) for loop in loops]
        if not args.short:
            pairs += [(loop.name, "told threads", None) for loop in loops]
        rivals = gluon(network, *work, args.short)
        rows += match(network, [*loops, *rivals], pairs, rounds(args))
    write("peers", rows, args.threads, args.short)


if __name__ == "__main__":
    main()
