"""This package as a contestant: the training loop of each engine, and the bare step inside it."""

from __future__ import annotations

from typing import Any

from harness import Blocks, has_torch
from networks import BATCH, NETWORKS, synthetic

from nas_incep._machine import has_bfloat16
from nas_incep.datasets.batches import training_batches
from nas_incep.engines import prepare
from nas_incep.recipe import Recipe

ENGINES = ("gluon", "torch") if has_torch() else ("gluon",)
# Of all contestants. Random labels teach nothing: a small constant rate keeps the numbers ordinary.
RATE, DECAY = 0.0001, 5e-4


def precisions() -> tuple[str, ...]:
    return ("float32", "bfloat16") if has_bfloat16() else ("float32",)


def asked(
    network: str, precision: str, batches: int, threads: int, engine: str = "gluon"
) -> dict[str, Any]:
    """For a Contestant, whose block is then `loop` or `step`."""
    work = {"network": network, "precision": precision, "batches": batches}
    return {"what": "ours", **work, "threads": threads, "engine": engine}


def blocks(
    network: str, precision: str, batches: int, threads: int, engine: str = "gluon"
) -> Blocks:
    """`loop`: an epoch of so many batches. `step`: as many bare steps on one resident batch."""
    prepare(engine, threads, "cpu")  # as the package's own commands do
    recipe = Recipe(
        epochs=1,
        batch_size=BATCH,
        images_per_epoch=batches * BATCH,
        optimizer="adam",
        learning_rate=RATE,
        weight_decay=DECAY,
        schedule="constant",
    )
    make = _torch if engine == "torch" else _gluon
    return make(network, precision, batches, recipe)


def _gluon(network: str, precision: str, batches: int, recipe: Recipe) -> Blocks:
    from nas_incep.engines.gluon.runtime import mx  # isort: skip  (before any other import of MXNet)
    from nas_incep.engines.gluon.networks import build_network
    from nas_incep.engines.gluon.training import Training

    data = synthetic(batches * BATCH)
    built = build_network(NETWORKS[network])
    training = Training(built, data, recipe, 0, mx.cpu(), precision)
    batch = next(training_batches(training.dataset, BATCH, None, True, 0))
    resident = training.to_device(*batch)

    def loop() -> int:
        return training.train_epoch()[2]

    def steps() -> int:
        for _ in range(batches):
            loss, _ = training.step(*resident)
            loss.wait_to_read()
        mx.nd.waitall()
        return batches * BATCH

    return {"loop": loop, "step": steps}


class _Resident:
    """Gives the same batch again and again, in the place of a feed."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def begin(self, seed: int) -> None:
        pass

    def restart(self) -> None:
        pass

    def next(self) -> Any:
        return self._batch


def _torch(network: str, precision: str, batches: int, recipe: Recipe) -> Blocks:
    from nas_incep.engines.torch.feed import to_device
    from nas_incep.engines.torch.packed import PackedNetwork
    from nas_incep.engines.torch.runtime import torch
    from nas_incep.engines.torch.training import Training

    data = synthetic(batches * BATCH)
    training = Training(PackedNetwork(NETWORKS[network]), data, recipe, 0, "cpu", precision)
    images, labels = next(training_batches(data, BATCH, None, True, 0))
    place = torch.device("cpu")
    batch = to_device(images, training._normalize, place), torch.from_numpy(labels).long()
    feeds = {"loop": training._feed, "step": _Resident(batch)}

    def loop() -> int:
        training._feed = feeds["loop"]
        return training.train_epoch()[2]

    def steps() -> int:
        training._feed = feeds["step"]
        training.rewind(0)
        for _ in range(batches):
            training.step()
        return batches * BATCH

    return {"loop": loop, "step": steps}
