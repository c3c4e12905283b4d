"""How many images a second can be prepared?

    python benchmarks/pipeline.py [--short] [--threads N] [--batches N]

Drawn, cropped, flipped, normalized and given to MXNet, in batches, without any training: by this
package, and by Gluon's DataLoader with as many processes for it as a user may choose.
"""

from __future__ import annotations

from harness import (
    Blocks,
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
from networks import BATCH, synthetic

from nas_incep.engines.gluon.tuning import tune

BATCHES, SHORT_BATCHES = 40, 8


def our_batches(batches: int, threads: int) -> Blocks:
    tune(threads, "cpu")
    from nas_incep.datasets.batches import normalization, training_batches
    from nas_incep.engines.gluon.runtime import mx

    dataset = synthetic(batches * BATCH)
    normalize = normalization(dataset)

    def go() -> int:
        for images, _ in training_batches(dataset, BATCH, None, True, 0):
            mx.nd.array(normalize(images)).wait_to_read()
        return batches * BATCH

    return {"go": go}


def gluon_batches(batches: int, workers: int) -> Blocks:
    import plain_loops

    return plain_loops.loading(batches, workers)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--batches", type=int, help=f"of {BATCH} images in each block of work")
    args = parser.parse_args()
    if args.serve:
        serve({"ours": our_batches, "gluon": gluon_batches}, args.serve)
        return
    batches = args.batches or (SHORT_BATCHES if args.short else BATCHES)
    contestants = [
        Contestant(
            "ours", {"what": "ours", "batches": batches, "threads": args.threads}, environment()
        ),
        *(
            Contestant(
                f"gluon, {workers} loaders",
                {"what": "gluon", "batches": batches, "workers": workers},
                environment(),
                optional=workers > 0,
            )
            for workers in (0, 2, 4)
        ),
    ]
    speeds = race(contestants, rounds(args))
    rows = [
        {"contestant": name, "images": batches * BATCH, "images_per_s": spread(values, 1)}
        for name, values in speeds.items()
    ]
    best = fastest(speeds, "gluon")
    values = ratios(speeds["ours"], speeds[best])
    rows.append(verdict("images prepared: ours / best gluon", values, best=best))
    write("pipeline", rows, args.threads, args.short)


if __name__ == "__main__":
    main()
