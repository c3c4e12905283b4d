"""Arrays in .npz files, valid and not."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.own_data import SHAPES, arrays, refusal, write_npz
from hypothesis import given
from hypothesis import strategies as st

from nas_incep.datasets import ImageForm, load
from nas_incep.errors import InputError

X, Y = arrays(5)


def train_sum(path: Path) -> int:
    dataset = load(str(path), validation_size=3)
    return int(dataset.train.images.sum()) + int(dataset.validation.images.sum())


@pytest.mark.parametrize(
    "x",
    [X, np.asfortranarray(X), X.transpose(0, 3, 1, 2), X[:, :, :, 0], X[:, :, :, :1]],
    ids=["last", "fortran", "first", "gray", "one"],
)
def test_every_order_of_axes(tmp_path: Path, x: np.ndarray) -> None:
    path = write_npz(tmp_path / "a.npz", x_train=x, y_train=Y[:, None])
    dataset = load(str(path), validation_size=3)
    assert dataset.info.image_shape == (1 if x.size * 3 == X.size else 3, 32, 32)
    assert train_sum(path) == int(x.sum())


def test_compressed_and_plain_files_are_the_same_data(tmp_path: Path) -> None:
    plain = load(str(write_npz(tmp_path / "plain.npz", x_train=X, y_train=Y)))
    np.savez_compressed(tmp_path / "packed.npz", x_train=X, y_train=Y.astype(np.uint8))
    assert load(str(tmp_path / "packed.npz")).fingerprint == plain.fingerprint


def test_arrays_are_resized(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", x_train=X, y_train=Y)
    dataset = load(str(path), form=ImageForm((16, 16), 1))
    assert dataset.train.images.shape[1:] == (1, 16, 16)


def test_classes_have_names(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", classes=np.array(SHAPES))
    assert load(str(path)).info.classes == SHAPES


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"x_train": X.astype(np.float32)}, "x_train holds float32, but pixels from 0 to 255"),
        ({"x_train": X[:-1]}, "x_train has 14 images, but there are 15 labels"),
        ({"x_train": X[0, 0]}, "x_train has the shape (32, 3), but"),
        ({"x_train": X[:, :0]}, "x_train has the shape"),
        ({"x_train": np.array([{}] * 15)}, "x_train holds Python objects, which are never read"),
        ({"y_train": Y + 0.5}, "y_train holds float64 of shape (15,)"),
        ({"y_train": np.eye(3, dtype=int)[Y]}, "y_train holds int64 of shape (15, 3)"),
        ({"y_train": Y - 1}, "y_train[0] is -1, but a label from 0 to 8191 is expected"),
        ({"y_train": Y * 2}, "no image of class 1, 3 to train on"),
        ({"x_val": X}, "has x_val, but not y_val"),
        ({"classes": np.array(SHAPES[:2])}, "label 2, but the labels of its 2 classes run from"),
        ({"classes": np.array(["a", "a", "b"])}, "has the same name twice"),
        ({"classes": np.arange(3)}, "classes holds int64 of shape (3,)"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "holds no images to train on"),
    ],
)
def test_arrays_that_are_refused(tmp_path: Path, changes: dict[str, np.ndarray], told: str) -> None:
    path = write_npz(tmp_path / "a.npz", **{"x_train": X, "y_train": Y, **changes})
    assert told in refusal(lambda: load(str(path)))


def test_files_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x_train=X)
    assert "y_train is missing" in refusal(lambda: load(str(path)))
    path.write_bytes(b"no zip")
    assert "not a whole .npz file" in refusal(lambda: load(str(path)))
    path.unlink()
    path.mkdir()
    assert "has no class folders" in refusal(lambda: load(str(path)))


def npy(shape: str, size: int, descr: str = "|u1") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(size)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (npy("(1000000000000, 32, 32)", 10), "more than half of this machine's"),
        (npy("(10, 32, 32)", 10), "takes 10,240 bytes by its shape (10, 32, 32) of uint8"),
        (npy("(1, 2, 2)", 10), "but has more"),
        (npy("(-1, 32, 32)", 10), "x_train is not a whole array"),
        (npy("(" * 200 + ")" * 200, 10), "x_train is not a whole array"),
        (npy("(10, 32", 10), "x_train is not a whole array: its header is invalid"),
        (b"\x93NUMPY\x01\x00\x09\x001\n  2\n 3\n", "its header is invalid"),
        (npy("(10, 32, 32)", 0, "U0"), "its values, <U0, have no bytes"),
        (b"\x93NUMPY\x02\x00" + b"\xff" * 8, "version 2.0 of the format is not supported"),
        (npy(f"(0, {10**30}, 8)", 0), "not a whole .npz file"),
        (b"", "x_train is not a whole array"),
    ],
)
def test_arrays_with_a_false_header(tmp_path: Path, content: bytes, told: str) -> None:
    path = write_npz(tmp_path / "a.npz", x_train=X, y_train=Y)
    labels = zipfile.ZipFile(path).read("y_train.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", content)
        archive.writestr("y_train.npy", labels)
    assert told in refusal(lambda: load(str(path)))


def small() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, x_train=X[::2, ::8, ::8], y_train=Y[::2])
    return file.getvalue()


SMALL = small()


@given(data=st.data())
def test_any_damage_is_a_sentence_or_other_images(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("npz") / "some.npz"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    try:
        load(str(path), form=ImageForm((8, 8), 3))
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)
