"""RecordIO files: those of MXNet itself, and damaged ones."""

from __future__ import annotations

import importlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.own_data import SHAPES, draw, framed, png, record, refusal, write_records
from hypothesis import given
from hypothesis import strategies as st

from nas_incep.datasets import load
from nas_incep.datasets.recordio import record_part
from nas_incep.errors import InputError

MAGIC = struct.pack("<I", 0xCED7230A)


def mxnet() -> Any:
    """MXNet, after our package has made it importable beside this numpy."""
    importlib.import_module("nas_incep.gluon.layers")
    return importlib.import_module("mxnet")


def test_files_of_mxnet_are_read(tmp_path: Path) -> None:
    mx = mxnet()
    # Where the magic number lies in a record, MXNet's writer splits it.
    payloads = [b"abcd" + MAGIC + b"efgh" + MAGIC, MAGIC, MAGIC * 3, b"x" + MAGIC, b"", b"abcde"]
    writer = mx.recordio.MXRecordIO(str(tmp_path / "some.rec"), "w")
    for index, payload in enumerate(payloads):
        labels = float(index) if index % 2 else [float(index)]
        writer.write(mx.recordio.pack(mx.recordio.IRHeader(0, labels, index, 0), payload))
    writer.close()
    part = record_part(tmp_path / "some.rec")
    assert [part.read(index) for index in range(len(payloads))] == payloads
    assert part.labels.tolist() == list(range(len(payloads)))


def test_images_that_mxnet_packed(tmp_path: Path) -> None:
    mx = mxnet()
    path = tmp_path / "shapes.rec"
    writer = mx.recordio.MXIndexedRecordIO(str(tmp_path / "shapes.idx"), str(path), "w")
    for index in range(12):
        blue_first = np.asarray(draw(SHAPES[index % 3], index))[:, :, ::-1]
        header = mx.recordio.IRHeader(0, float(index % 3), index, 0)
        writer.write_idx(index, mx.recordio.pack_img(header, blue_first, 9, ".png"))
    writer.close()
    dataset = load(str(path), validation_size=3)
    expected = {np.asarray(draw(SHAPES[i % 3], i)).transpose(2, 0, 1).tobytes() for i in range(12)}
    images = np.concatenate([dataset.train.images, dataset.validation.images])
    assert {image.tobytes() for image in images} == expected


PNG = png(draw("circle", 0))
GOOD = framed(record(0, PNG))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "holds no records"),
        (GOOD + GOOD[:100], "record 1 (counted from 0, at byte"),
        (GOOD + b"\0\0\0\0\0\0\0\0", "starts with 0x0, but all records start with 0xced7230a"),
        (framed(b"short"), "has 5 bytes, but its header alone takes 24"),
        (framed(record(0, PNG), kind=2), "has a piece of kind 2, which cannot come first"),
        (framed(record(0, PNG), kind=1), "is cut off"),
        (framed(record(0, PNG), kind=1) + GOOD, "has a piece of kind 0, which cannot come next"),
        (MAGIC + struct.pack("<I", (1 << 29) - 1), "has more than 256 MB"),
        (framed(record(0.5, PNG)), "has label 0.5, but an integer from 0 to 8191 is expected"),
        (framed(record(float("nan"), PNG)), "has label nan"),
        (framed(record(float("inf"), PNG)), "has label inf"),
        (framed(record(-1, PNG)), "has label -1"),
        (framed(record(1e9, PNG)), "has label 1e+09"),
        (framed(record(0, PNG, [1.0, 2.0])), "has 2 labels, but one class for each image"),
        (framed(struct.pack("<IfQQ", 1 << 31, 0, 0, 0)), "too short for its 2,147,483,648 labels"),
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "damaged.rec"
    path.write_bytes(content)
    assert told in refusal(lambda: record_part(path))


def test_a_label_that_no_image_has(tmp_path: Path) -> None:
    path = tmp_path / "gap.rec"
    path.write_bytes(b"".join(framed(record(label, PNG)) for label in (0, 0, 2, 2)))
    assert "no image of class 1 to train on" in refusal(lambda: load(str(path)))


def test_a_label_outside_the_classes(tmp_path: Path) -> None:
    write_records(tmp_path / "train.rec", 3)
    (tmp_path / "val.rec").write_bytes(framed(record(0, PNG)) + framed(record(7, PNG)))
    assert "image 1 (counted from 0) of the val part has label 7" in refusal(
        lambda: load(str(tmp_path))
    )


@given(
    payloads=st.lists(st.binary(max_size=40), min_size=1, max_size=5),
    labels=st.lists(st.integers(0, 8191), min_size=5, max_size=5),
)
def test_what_is_written_is_read(
    payloads: list[bytes], labels: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("rec") / "some.rec"
    path.write_bytes(b"".join(framed(record(n, one)) for n, one in zip(labels, payloads)))
    part = record_part(path)
    assert part.labels.tolist() == labels[: len(payloads)]
    assert [part.read(index) for index in range(len(payloads))] == payloads


@given(data=st.data())
def test_any_damage_is_a_sentence_or_other_images(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(GOOD + framed(record(1, PNG, [1.0])))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, 80) | st.integers(0, len(content) - 1))] = data.draw(
            st.integers(0, 255)
        )
    path = tmp_path_factory.mktemp("rec") / "some.rec"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        part = record_part(path)
        part.pixels((3, 8, 8))
    except InputError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
