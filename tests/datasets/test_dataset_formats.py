"""Records and idx files: what is written comes back, and one sentence per fault."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from helpers.dataset_files import (
    BATCHES,
    cifar_bytes,
    random_images,
    sentence,
    write_cifar10,
    write_fashion,
)
from hypothesis import given
from hypothesis import strategies as st

from nas_incep.datasets import DATASETS, Images, load, load_test
from nas_incep.errors import InputError


@given(
    labels=st.lists(st.integers(0, 99), min_size=1, max_size=12),
    superclass=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_records_come_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, labels: list[int], superclass: bool, seed: int
) -> None:
    name = "cifar100" if superclass else "cifar10"
    info = DATASETS[name]
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 3, 32, 32), np.uint8)
    part = Images(pixels, np.array(labels, np.int32) % len(info.classes))
    folder = tmp_path_factory.mktemp("records")
    (folder / info.test_files[0]).write_bytes(cifar_bytes(part, superclass))
    found = load_test(name, folder)
    assert np.array_equal(found.images, part.images)
    assert np.array_equal(found.labels, part.labels)


@pytest.mark.parametrize("kept", [0, 1, 3072, 2 * 3073 - 1])
def test_truncated_records(tmp_path: Path, kept: int) -> None:
    write_cifar10(tmp_path)
    path = tmp_path / BATCHES[2]
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError) as error:
        load("cifar10", tmp_path)
    assert sentence(error) == (
        f"{path}: {kept} bytes are no whole number of records: CIFAR-10 has 3073 bytes a record, "
        "and a file holds at least one"
    )


@pytest.mark.parametrize("name, classes", [("cifar10", 10), ("cifar100", 100)])
def test_label_out_of_range(tmp_path: Path, name: str, classes: int) -> None:
    info = DATASETS[name]
    whole = random_images(20, classes, (3, 32, 32))
    whole.labels[7] = classes
    for file in info.train_files:
        (tmp_path / file).write_bytes(cifar_bytes(whole, superclass=name == "cifar100"))
    with pytest.raises(InputError) as error:
        load(name, tmp_path)
    assert sentence(error) == (
        f"{tmp_path / info.train_files[0]}: record 7 (counted from 0) has label {classes}, "
        f"but the labels of {info.title} run from 0 to {classes - 1}"
    )


FASHION_FAULTS = {
    "images": [
        (
            lambda b: b[:10],
            "10 bytes, but the header alone of an idx file of 3 dimensions takes 16",
        ),
        (
            lambda b: struct.pack(">I", 2049) + b[4:],
            "magic number 2049, but an idx file of bytes in 3 dimensions starts with 2051",
        ),
        (
            lambda b: b[:8] + struct.pack(">II", 14, 56) + b[16:],
            "images of 14 x 56 pixels, but 28 x 28 are expected",
        ),
        (
            lambda b: b[:-1],
            "31375 bytes for 40 items: there must be at least one item, and 40 take 31376 bytes",
        ),
        (
            lambda b: b + b"\0",
            "31377 bytes for 40 items: there must be at least one item, and 40 take 31376 bytes",
        ),
        (
            lambda b: b[:4] + struct.pack(">I", 0) + b[8:16],
            "16 bytes for 0 items: there must be at least one item, and 0 take 16 bytes",
        ),
    ],
    "labels": [
        (
            lambda b: struct.pack(">I", 2051) + b[4:],
            "magic number 2051, but an idx file of bytes in 1 dimension starts with 2049",
        ),
        (
            lambda b: b[:4] + struct.pack(">I", 39) + b[8:-1],
            "39 labels, but train-images-idx3-ubyte beside it holds 40 images: "
            "each image needs one label",
        ),
        (
            lambda b: b[:-1] + b"\n",
            "record 39 (counted from 0) has label 10, but the labels of Fashion-MNIST run "
            "from 0 to 9",
        ),
    ],
}


@pytest.mark.parametrize(
    "kind, case",
    [(kind, case) for kind, cases in FASHION_FAULTS.items() for case in range(len(cases))],
)
def test_faulty_idx_files(tmp_path: Path, kind: str, case: int) -> None:
    change, expected = FASHION_FAULTS[kind][case]
    write_fashion(tmp_path, "train", packed=False)
    path = tmp_path / f"train-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError) as error:
        load("fashion_mnist", tmp_path)
    assert sentence(error) == f"{path}: {expected}"
