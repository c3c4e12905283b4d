"""What does each measure gain? The bare step with one more of them at a time.

    python benchmarks/steps.py [--short] [--threads N] [--network NAME]

Each contestant is a process with all measures up to its own; the first trains the network as it is
built, in one static graph, with the settings of `import nas_incep.gluon` alone.
"""

from __future__ import annotations

import os
from typing import Any

import networks
from harness import (
    Blocks,
    Contestant,
    environment,
    options,
    race,
    ratios,
    rounds,
    serve,
    spread,
    write,
)
from networks import BATCH, NETWORKS, synthetic

from nas_incep._machine import has_bfloat16
from nas_incep.engines.gluon import tuning

MEASURES = (
    "as built",
    "memory kept",
    "no engine threads, short waits",
    "packed",
    "image pooled outside",
    "BatchNorm and ReLU in one",
    "bfloat16",
)


def blocks(network: str, measures: int, batches: int, threads: int) -> Blocks:
    """`go`: so many steps on one resident batch, with that many measures."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if measures >= 1:
        # Without the rest of `tune` where it is not yet due.
        tuning.tune(threads, "cpu" if measures >= 2 else "gpu")
    from nas_incep.datasets.batches import training_batches
    from nas_incep.engines.gluon import training as module
    from nas_incep.engines.gluon.forms import Form
    from nas_incep.engines.gluon.networks import build_network
    from nas_incep.engines.gluon.packed import PackedNetwork
    from nas_incep.engines.gluon.runtime import mx
    from nas_incep.recipe import Recipe

    def form(built: Any, precision: str, device: Any) -> Form:
        if measures < 3:
            return Form("as built", built, built, lambda images: [images], int, int)
        packed = PackedNetwork(built.architecture, precision)
        packed.initialize(ctx=device)
        packed.load(built)
        packed.on_cpu = measures >= 4
        if measures < 5:
            packed.fused = packed.fused_head = False
        return Form("packed", packed, packed, packed.inputs, int, int)

    module.make_form = form
    precision = "bfloat16" if measures >= 6 else "float32"
    recipe = Recipe(batch_size=BATCH, optimizer="sgd", learning_rate=0.01, schedule="constant")
    built = build_network(NETWORKS[network])
    training = module.Training(built, synthetic(BATCH), recipe, 0, mx.cpu(), precision)
    batch = next(training_batches(training.dataset, BATCH, None, True, 0))
    resident = training.to_device(*batch)

    def go() -> int:
        for _ in range(batches):
            training.step(*resident)[0].wait_to_read()
        mx.nd.waitall()
        return batches * BATCH

    return {"go": go}


def main() -> None:
    parser = options(__doc__)
    networks.add_options(parser)
    args = parser.parse_args()
    if args.serve:
        serve({"steps": blocks}, args.serve)
        return
    count = len(MEASURES) if has_bfloat16() else len(MEASURES) - 1
    rows: list[dict[str, Any]] = []
    for network, batches in networks.chosen(args).items():
        asked = {"what": "steps", "network": network, "batches": batches, "threads": args.threads}
        contestants = [
            Contestant(MEASURES[k], {**asked, "measures": k}, environment()) for k in range(count)
        ]
        speeds = race(contestants, rounds(args))
        first = speeds[MEASURES[0]]
        rows += [
            {
                "network": network,
                "measure": name,
                "images_per_s": spread(values, 1),
                "to_as_built": spread(ratios(values, first)),
            }
            for name, values in speeds.items()
        ]
    write("steps", rows, args.threads, args.short)


if __name__ == "__main__":
    main()
