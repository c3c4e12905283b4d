"""Data sets for the fuzz harness: valid samples, and our readers of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from helpers import dataset_files, own_data
from nas_incep import datasets
from nas_incep.datasets.download import find_whole
from nas_incep.errors import InputError


def each(*steps: Callable[[], Any]) -> None:
    """Takes all steps, whatever one of them refuses; then raises the first refusal."""
    refusals = []
    for step in steps:
        try:
            step()
        except InputError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]


def read_data(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        each(
            lambda: datasets.load(name, folder, 20),
            lambda: datasets.load_test(name, folder),
            lambda: find_whole(name, folder),
        )

    return read


def make_cifar(folder: Path) -> None:
    dataset_files.write_cifar10(folder)
    shutil.copy(folder / "data_batch_1.bin", folder / "test_batch.bin")


def make_idx(folder: Path, packed: bool = False) -> None:
    for prefix in ("train", "t10k"):
        dataset_files.write_fashion(folder, prefix, packed=packed)


def make_archive(folder: Path) -> None:
    dataset_files.write_cifar10(folder / "x")
    files = {path.name: path.read_bytes() for path in sorted((folder / "x").iterdir())}
    files["test_batch.bin"] = files["data_batch_1.bin"]
    shutil.rmtree(folder / "x")
    (folder / "cifar-10-binary.tar.gz").write_bytes(dataset_files.tar_bytes(files))


def make_pickles(folder: Path) -> None:
    (folder / "cifar-10-batches-py").mkdir()
    text = b"cos\nsystem\n(S'touch ../outside/executed'\ntR."
    for name in ("data_batch_1", "batches.meta", "test_batch"):
        (folder / "cifar-10-batches-py" / name).write_bytes(text)


def make_pictures(folder: Path) -> None:
    """Images of the kinds that are read most, in class folders."""
    for part in ("train", "test"):
        for name in own_data.SHAPES:
            (folder / part / name).mkdir(parents=True)
            for index, suffix in enumerate((".png", ".jpg", ".gif", ".bmp", ".webp", ".tif")):
                own_data.draw(name, index).save(folder / part / name / f"{index}{suffix}")


def make_npz(folder: Path) -> None:
    x, y = own_data.arrays(4)
    parts = {"x_train": x[:, ::4, ::4], "y_train": y, "x_test": x[:, ::4, ::4], "y_test": y}
    own_data.write_npz(folder / "plain.npz", **parts, classes=np.array(own_data.SHAPES))
    np.savez_compressed(folder / "packed.npz", **parts)


def make_records(folder: Path) -> None:
    for part in ("train", "test"):
        own_data.write_records(folder / f"{part}.rec", 3)


def read_own(folder: Path) -> None:
    """Reads the .npz files in the folder, or the folder itself."""
    places = [str(path) for path in folder.glob("*.npz")] or [str(folder)]
    each(
        *(lambda path=path: datasets.load(path) for path in places),
        *(lambda path=path: datasets.load_test(path) for path in places),
    )
