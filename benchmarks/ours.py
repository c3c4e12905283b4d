"""This package as a contestant: its training loop, and the bare step inside it."""

from __future__ import annotations

from typing import Any

from harness import Blocks
from networks import BATCH, NETWORKS, synthetic

from nas_incep._machine import has_bfloat16
from nas_incep.datasets.batches import training_batches
from nas_incep.engines.gluon.tuning import tune
from nas_incep.recipe import Recipe


def precisions() -> tuple[str, ...]:
    return ("float32", "bfloat16") if has_bfloat16() else ("float32",)


def asked(network: str, precision: str, batches: int, threads: int) -> dict[str, Any]:
    """For a Contestant, whose block is then `loop` or `step`."""
    work = {"network": network, "precision": precision, "batches": batches}
    return {"what": "ours", **work, "threads": threads}


def blocks(network: str, precision: str, batches: int, threads: int) -> Blocks:
    """`loop`: an epoch of so many batches. `step`: as many bare steps on one resident batch."""
    tune(threads, "cpu")  # as the package's own commands do
    from nas_incep.engines.gluon.runtime import mx  # isort: skip  (before any other import of MXNet)
    from nas_incep.engines.gluon.networks import build_network
    from nas_incep.engines.gluon.training import Training

    # Random labels teach nothing: a small constant rate keeps the numbers ordinary.
    images = batches * BATCH
    recipe = Recipe(
        epochs=1,
        batch_size=BATCH,
        images_per_epoch=images,
        optimizer="sgd",  # as the peers
        learning_rate=0.01,
        schedule="constant",
    )
    training = Training(
        build_network(NETWORKS[network]), synthetic(images), recipe, 0, mx.cpu(), precision
    )
    batch = next(training_batches(training.dataset, BATCH, None, True, 0))
    resident = training.to_device(*batch)

    def loop() -> int:
        return training.train_epoch()[2]

    def steps() -> int:
        for _ in range(batches):
            loss, _ = training.step(*resident)
            loss.wait_to_read()
        mx.nd.waitall()
        return images

    return {"loop": loop, "step": steps}
