"""Data of Python programs, written for searches."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.own_data import SHAPES, arrays, draw, refusal

from nas_incep.datasets import load, load_test, write_arrays

X, Y = arrays(5)


def gluon_data() -> Any:
    importlib.import_module("nas_incep.gluon.layers")  # makes MXNet importable beside this numpy
    mx = importlib.import_module("mxnet")
    return mx.gluon.data.ArrayDataset(mx.nd.array(X, dtype="uint8"), Y.astype(np.float32))


def images_of_pillow() -> Any:
    return [(draw(SHAPES[label], index % 5), label) for index, label in enumerate(Y.tolist())]


@pytest.mark.parametrize(
    "make", [lambda: (X, Y), gluon_data, images_of_pillow], ids=["arrays", "gluon", "pillow"]
)
def test_what_is_written_is_loaded(tmp_path: Path, make: Any) -> None:
    path = write_arrays(tmp_path / "a.npz", make(), test=(X[:4], Y[:4]), classes=SHAPES)
    dataset = load(str(path), validation_size=3)
    assert dataset.info.classes == SHAPES
    images = np.concatenate([dataset.train.images, dataset.validation.images])
    assert {i.tobytes() for i in images} == {x.transpose(2, 0, 1).tobytes() for x in X}
    assert len(load_test(str(path)).labels) == 4
    assert [found.name for found in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ((X / 255, Y), "a.npz: x_train holds float64, but pixels from 0 to 255"),
        ((X, Y[:-1]), "a.npz: x_train has 15 images, but there are 14 labels"),
        ([(X[0], 0), (X[0, :8], 1)], "images of the shapes (8, 32, 3) and (32, 32, 3)"),
        ([(X[0], 0), (X[0], 0)], "a.npz: has 1 class"),
        ([], "a.npz: "),
    ],
)
def test_what_is_refused_leaves_the_file_as_it_was(tmp_path: Path, part: Any, told: str) -> None:
    path = write_arrays(tmp_path / "a.npz", (X, Y))
    before = path.read_bytes()
    assert told in refusal(lambda: write_arrays(path, part))
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["a.npz"]


def test_another_name_is_refused(tmp_path: Path) -> None:
    assert "ends in .npz" in refusal(lambda: write_arrays(tmp_path / "a", (X, Y)))
