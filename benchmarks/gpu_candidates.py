"""Parts of gpu.py: candidates by the engine and by a plain PyTorch script, and a whole search."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from gpu_speed import NETWORKS, SMALL, Setup, training_of
from harness import verdict

from nas_incep.architecture import Architecture
from nas_incep.datasets import Images
from nas_incep.engines.torch.networks import build_network
from nas_incep.engines.torch.runtime import DTYPES, device_of, torch
from nas_incep.engines.torch.training import initialize
from nas_incep.errors import InputError
from nas_incep.spaces.points import RandomPoint
from nas_incep.spaces.reader import read_space
from nas_incep.spaces.space import over_limits

SPACE, EPOCHS, BASELINE = "nin_cifar", 8, "inception3@75"
SAMPLED = 3  # networks on which the script is measured, too
LOADERS = 4  # processes of the script's DataLoader
SCRIPT_TARGET, SEARCH_TARGET = 10.0, 600.0


def candidates(setup: Setup) -> Iterator[dict[str, Any]]:
    """The same networks by both: seconds of a candidate of 8 epochs, each in one process."""
    if setup.short:
        chosen = {SMALL: NETWORKS[SMALL]}
    else:
        chosen = {SMALL: NETWORKS[SMALL], "notebook": NETWORKS["notebook"], **_sampled(SAMPLED)}
    ratios = []
    for name, architecture in chosen.items():
        ours, script = _ours(architecture, setup), _script(architecture, setup)
        ratios.append(script / ours)
        yield {
            "part": "candidates",
            "network": name,
            "macs": architecture.macs,
            "precision": setup.precision,
            "epochs": EPOCHS,
            "candidates_per_hour": 3600 / ours,
            "script_candidates_per_hour": 3600 / script,
            "ratio": ratios[-1],
        }
    yield verdict(
        f"candidates per hour / a plain PyTorch script's, networks of {SPACE}",
        ratios[-SAMPLED:],
        at_least=setup.target(SCRIPT_TARGET),
        part="candidates",
    )


def _sampled(count: int) -> dict[str, Architecture]:
    """Random networks of the space, the same in each run."""
    space, rng = read_space(SPACE), random.Random(0)
    found: dict[str, Architecture] = {}
    while len(found) < count:
        with suppress(InputError):  # an impossible network
            architecture = space.sample(RandomPoint(rng), 10, (3, 32, 32))
            if not over_limits(space.limits, architecture):
                found[architecture.identity] = architecture
    return found


def _ours(architecture: Architecture, setup: Setup) -> float:
    """Seconds of a candidate: its start with the first epoch, then epochs with evaluation."""
    started = time.perf_counter()
    training = training_of(architecture, setup, setup.precision)
    training.run_epoch()
    first = time.perf_counter() - started
    started = time.perf_counter()
    training.run_epoch()
    return first + (EPOCHS - 1) * (time.perf_counter() - started)


def _script(architecture: Architecture, setup: Setup) -> float:
    """Seconds of a candidate in what a user writes first: images one by one, `.item()` each step.

    Of the training, some seconds are measured, of the evaluation all.
    """
    from torch.utils.data import DataLoader

    place, dataset = device_of(setup.device), setup.dataset
    network = build_network(architecture)
    initialize(network, "xavier", 0)
    network = network.to(place)
    optimizer = torch.optim.SGD(network.parameters(), 0.02, momentum=0.9, weight_decay=5e-4)
    settings = {
        "num_workers": 1 if setup.short else LOADERS,
        "pin_memory": setup.on_gpu,
        "persistent_workers": True,
    }
    dtype = DTYPES[setup.precision]
    mixed = torch.autocast(place.type, dtype, enabled=setup.precision != "float32")
    statistics_of = dataset.mean, dataset.std
    train = DataLoader(_Transformed(dataset.train, *statistics_of, True), 128, True, **settings)
    warm = 1 if setup.short else 10
    images, total, started = 0, 0.0, time.perf_counter()
    for step, (batch, labels) in enumerate(train):
        if step == warm:
            images, started = 0, time.perf_counter()
        with mixed:
            scores = network(batch.to(place))
        loss = torch.nn.functional.cross_entropy(scores.float(), labels.to(place))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
        images += len(labels)
        if step > warm and time.perf_counter() > started + 5 * setup.seconds:
            break
    training = len(dataset.train.labels) * (time.perf_counter() - started) / images

    settings["persistent_workers"] = False
    held_out = _Transformed(dataset.validation, *statistics_of, False)
    started, right = time.perf_counter(), 0
    network.eval()
    with torch.inference_mode():
        for batch, labels in DataLoader(held_out, 128, **settings):
            right += (network(batch.to(place)).argmax(1).cpu() == labels).sum().item()
    return EPOCHS * (training + time.perf_counter() - started)


class _Transformed:
    """Single images, normalized, with a random crop and flip as torchvision's transforms make."""

    def __init__(
        self, images: Images, mean: tuple[float, ...], std: tuple[float, ...], augment: bool
    ) -> None:
        self._images, self._augment = torch.from_numpy(images.images), augment
        self._labels = images.labels.tolist()
        self._mean, self._std = (torch.tensor(v).view(-1, 1, 1) for v in (mean, std))

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self._images[index]
        if self._augment:
            image = torch.nn.functional.pad(image, (4, 4, 4, 4))
            top, left = torch.randint(0, 9, (2,)).tolist()
            image = image[:, top : top + 32, left : left + 32]
            if torch.rand(1) < 0.5:
                image = image.flip(-1)
        return (image.float().div(255) - self._mean) / self._std, self._labels[index]


def search(setup: Setup) -> Iterator[dict[str, Any]]:
    """The real command; where its time is up, the time for all candidates is extrapolated."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = _command(setup, Path(folder), run)
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        taken = time.perf_counter() - started
        print(done.stdout[-6000:] + done.stderr[-1500:], file=sys.stderr)
        board = [sys.executable, "-m", "nas_incep", "leaderboard", str(run), "--format", "json"]
        said = subprocess.run(board, capture_output=True, text=True).stdout
        ranked = json.loads(said) if said.strip() else []
    ended = [row for row in ranked if row["kind"] == "candidate" and row["state"] == "complete"]
    auto = [line for line in done.stderr.splitlines() if line.startswith("--workers auto")]
    yield {
        "part": "search",
        "space": "quick" if setup.short else SPACE,
        "candidates": setup.candidates,
        "complete": len(ended),
        "epochs": 1 if setup.short else EPOCHS,
        "baselines": [row["name"] for row in ranked if row["kind"] == "baseline"],
        "workers": auto[-1] if auto else setup.workers,
        "seconds": taken,
        "status": done.returncode,
        "accuracies": statistics.mean(row["val_accuracy"] for row in ended) if ended else None,
        "best": ranked[:3],
    }
    if ended:  # of the time for the baseline, too, so that less than all give an upper bound
        whole = taken * max(1.0, setup.candidates / len(ended))
        yield verdict(
            f"seconds of a search of {setup.candidates} candidates and {BASELINE}"
            + ("" if len(ended) >= setup.candidates else f", extrapolated from {len(ended)}"),
            [whole],
            below=setup.target(SEARCH_TARGET),
            part="search",
            candidates_per_hour=3600 * len(ended) / taken,
        )


def _command(setup: Setup, folder: Path, run: Path) -> list[str]:
    command = [sys.executable, "-m", "nas_incep", "search", "quick" if setup.short else SPACE]
    command += ["--run", str(run), "--engine", "torch", "--device", setup.device]
    command += ["--trials", str(setup.candidates), "--workers", setup.workers]
    command += ["--sampler", "random", "--finals", "none", "--precision", setup.precision]
    command += ["--timeout", str(setup.search_seconds)]
    if setup.short:
        options = ("--epochs", "1", "--images-per-epoch", "320", "--baseline", "cifar_resnet20_v1")
        return [*command, "--dataset", "digits", *options]
    command += ["--epochs", str(EPOCHS), "--baseline", BASELINE]
    if setup.data_dir:
        return [*command, "--data-dir", str(setup.data_dir)]
    return [*command, "--dataset", str(_written(setup, folder)), "--flip"]


def _written(setup: Setup, folder: Path) -> Path:
    """Random images as a data set of one's own, of CIFAR-10's shape and sizes."""
    rng, train = np.random.Generator(np.random.PCG64(1)), setup.dataset.train
    held_out = rng.integers(0, 256, (5000, *train.images.shape[1:]), np.uint8)
    labels = rng.integers(0, 10, 5000).astype(np.int64)
    path = folder / "random.npz"
    np.savez(
        path, x_train=train.images, y_train=train.labels.astype(np.int64), x_val=held_out,
        y_val=labels,
    )  # fmt: skip
    return path
