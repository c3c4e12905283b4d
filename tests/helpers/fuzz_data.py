"""Data sets for the fuzz harness: valid samples, and our readers of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers import dataset_files
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
