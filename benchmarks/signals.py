"""Do other brief trainings of the same cost rank networks better than `brief` does?

    python benchmarks/signals.py --data-dir DIR
    python benchmarks/signals.py --report

Networks of the project's table are trained anew on a quarter of its images, by PyTorch on the CPU,
in several ways: as `brief` does (and averaging the weights on the way), with label smoothing, at a
lower resolution, with more images and fewer epochs, with one seed for all networks; and by the
recipe of the notebook, on as many images as the table's. Each way is held against the mean of the
table's whole trainings, which have other seeds. Cells that are in the results already are not
measured again, so the script can be stopped at any time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from evidence import TABLE, candidates, interval
from harness import RESULTS
from PIL import Image

from nas_incep._machine import versions
from nas_incep.architecture import Architecture
from nas_incep.datasets import Dataset, Images, load
from nas_incep.engines.table.table import read_table
from nas_incep.engines.tuning import tune_process
from nas_incep.recipe import Recipe, derive_seed, get_recipe
from nas_incep.results.fidelity import kendall

PATH = RESULTS / "signals.jsonl"
IMAGES, EPOCHS = 10_000, 2  # of `brief`, a quarter of a whole training of the table
AVERAGED = 0.98  # the weights' average forgets with this factor in each step
SMOOTHING = 0.1
SIDE = 24  # pixels of the lower resolution, which cost (24 / 32) ** 2 of the MACs


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to train briefly."""

    epochs: int = EPOCHS
    smoothing: float = 0.0
    side: int = 32
    common_seed: bool = False
    preset: str = "brief"
    images: int = IMAGES * EPOCHS  # in all epochs

    def recipe(self) -> Recipe:
        return get_recipe(
            self.preset, epochs=self.epochs, images_per_epoch=self.images // self.epochs
        )


WAYS = {
    "brief": Way(),
    "label smoothing": Way(smoothing=SMOOTHING),
    "24 x 24 pixels": Way(side=SIDE),
    "1 epoch of all its images": Way(epochs=1),
    "4 epochs of a quarter of them": Way(epochs=4),
    "one seed for all networks": Way(common_seed=True),
    # As long as the table's whole trainings.
    "the recipe `notebook`": Way(epochs=8, images=8 * IMAGES, preset="notebook"),
}


def resized(images: Images, side: int) -> Images:
    pixels = [
        np.asarray(Image.fromarray(image.transpose(1, 2, 0)).resize((side, side), Image.BOX))
        for image in images.images
    ]
    return dataclasses.replace(images, images=np.stack(pixels).transpose(0, 3, 1, 2).copy())


def at_side(dataset: Dataset, side: int) -> Dataset:
    """The data set with smaller images; mean and deviation stay."""
    if side == dataset.info.image_shape[1]:
        return dataset
    return dataclasses.replace(
        dataset,
        info=dataclasses.replace(dataset.info, image_shape=(3, side, side)),
        train=resized(dataset.train, side),
        validation=resized(dataset.validation, side),
    )


def cell(architecture: Architecture, dataset: Dataset, way: Way) -> dict[str, Any]:
    """Trains a network in one way; its accuracy and loss by its last and its averaged weights."""
    from nas_incep.engines.torch.packed import PackedNetwork
    from nas_incep.engines.torch.runtime import torch
    from nas_incep.engines.torch.training import Training

    class Observed(Training):
        """Also averages the weights, and smooths labels by mixing in the mean over all classes."""

        averages: Any = None

        def step(self) -> None:
            super().step()
            state = self.network.arrays()
            if self.averages is None:
                self.averages = {name: value.detach().clone() for name, value in state.items()}
            for name, value in state.items():
                self.averages[name].lerp_(value.detach(), 1 - AVERAGED)

        def loss(self, scores: Any, labels: Any) -> Any:
            return torch.nn.functional.cross_entropy(
                scores, labels, reduction="sum", label_smoothing=way.smoothing
            )

    shape = dataset.info.image_shape
    sized = dataclasses.replace(architecture, input_shape=shape)
    name = "all" if way.common_seed else architecture.identity
    seed = derive_seed(0, "signals", name)
    training = Observed(PackedNetwork(sized), dataset, way.recipe(), seed, "cpu")
    started = time.perf_counter()
    points = [training.run_epoch() for _ in range(way.epochs)]
    seconds = time.perf_counter() - started
    last = points[-1]
    assert last
    with torch.no_grad():
        for name, value in training.network.arrays().items():
            value.copy_(training.averages[name])
    averaged = training.validate()
    return {
        "accuracy": last.val_accuracy,
        "loss": last.val_loss,
        "train_accuracy": last.train_accuracy,
        "averaged_accuracy": averaged.accuracy,
        "averaged_loss": averaged.loss,
        "seconds": round(seconds, 1),
    }


def scores(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """By what a network could be ranked, and its value for each network; more is better."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        values = {"": row["accuracy"], ", validation loss": -row["loss"]}
        if row["way"] == "brief":
            values[", averaged weights"] = row["averaged_accuracy"]
            values[", averaged weights, validation loss"] = -row["averaged_loss"]
        for suffix, value in values.items():
            found.setdefault(row["way"] + suffix, {})[row["network"]] = value
    return found


def tau(score: np.ndarray, truth: np.ndarray, rows: np.ndarray) -> float:
    return kendall(score[rows], truth[rows], np.ones(len(rows)))


def gain(score: np.ndarray, other: np.ndarray, truth: np.ndarray, rows: np.ndarray) -> float:
    return tau(score, truth, rows) - tau(other, truth, rows)


def report(rows: list[dict[str, Any]]) -> None:
    """Prints each score's tau, and its gain over `brief` on the same networks."""
    truth = {
        name: float(np.mean([curve[-1].val_accuracy for curve in network.curves]))
        for name, network in candidates(read_table(TABLE)).items()
    }
    found = scores(rows)
    for name, values in found.items():
        common = sorted(values.keys() & found["brief"].keys())
        true, own, brief = (
            np.array([source[key] for key in common]) for source in (truth, values, found["brief"])
        )

        texts = [
            "{:.2f} ({:.2f} to {:.2f})".format(*interval(figure, len(common)))
            for figure in (partial(tau, own, true), partial(gain, own, brief, true))
        ]
        print(name, len(common), *texts, sep=" | ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    parser.add_argument("--every", type=int, default=2, help="every which network; by default 2")
    parser.add_argument("--report", action="store_true", help="only print what was measured")
    args = parser.parse_args()
    rows = [json.loads(line) for line in PATH.read_text().splitlines()] if PATH.exists() else []
    if args.report:
        report(rows)
        return
    tune_process(1)
    whole = load("cifar10", args.data_dir, validation_size=10_000)
    networks = sorted(candidates(read_table(TABLE)).items(), key=lambda pair: pair[1].macs)
    # Pairs, because every other one has batch normalization.
    chosen = [pair for k, pair in enumerate(networks) if k // 2 % args.every == 0]
    done = {(row["way"], row["network"]) for row in rows}
    for way in args.ways:
        dataset = at_side(whole, WAYS[way].side)
        for name, network in chosen:
            if (way, name) in done:
                continue
            assert network.architecture
            row = cell(network.architecture, dataset, WAYS[way])
            row = {"way": way, "network": name, **row, "versions": versions()}
            with PATH.open("a") as out:
                out.write(json.dumps(row) + "\n")
            print(way, name, row["accuracy"], row["averaged_accuracy"], row["seconds"], flush=True)


if __name__ == "__main__":
    main()
