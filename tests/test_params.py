"""MXNet's files of parameters, read and written without MXNet."""

from __future__ import annotations

import os
import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from helpers.networks import architectures, built
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nas_incep._params import read_params, write_params
from nas_incep.engines.gluon.runtime import mx
from nas_incep.errors import InputError
from nas_incep.stages import parameters_of

LIMIT = 1 << 24  # bytes, more than any file here has
DTYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")
SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, max_side=4)
VALUES = st.sampled_from(DTYPES).flatmap(lambda dtype: arrays.arrays(dtype, SHAPES))
FILES = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), VALUES)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return list(one) == list(other) and all(
        a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        for a, b in zip(one.values(), other.values())
    )


@given(FILES)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, named: dict) -> None:
    path = tmp_path_factory.mktemp("params") / "file"
    write_params(path, named)
    assert same(read_params(path, LIMIT), named)


@settings(max_examples=20)
@given(architectures(st.just(6)))
def test_a_networks_file_is_mxnets_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, architecture: object
) -> None:
    folder = tmp_path_factory.mktemp("params")
    network = built(architecture)  # type: ignore[arg-type]
    network.save_parameters(str(folder / "theirs"))
    named = read_params(folder / "theirs", LIMIT)
    assert [(p.name, p.shape) for p in parameters_of(architecture)] == [  # type: ignore[arg-type]
        (name, array.shape) for name, array in named.items()
    ]
    write_params(folder / "ours", named)
    assert (folder / "ours").read_bytes() == (folder / "theirs").read_bytes()
    network.load_parameters(str(folder / "ours"))


def test_mxnet_reads_every_type(tmp_path: Path) -> None:
    named = {dtype: np.arange(6).reshape(2, 3).astype(dtype) for dtype in DTYPES}
    write_params(tmp_path / "file", named)
    loaded = mx.nd.load(str(tmp_path / "file"))
    assert same({name: array.asnumpy() for name, array in loaded.items()}, named)
    mx.nd.save(str(tmp_path / "again"), loaded)
    assert same(read_params(tmp_path / "again", LIMIT), named)


def whole(tmp_path: Path) -> bytes:
    named = {"a.weight": np.ones((3, 2), np.float32), "b": np.zeros(5, np.int64)}
    write_params(tmp_path / "file", named)
    return (tmp_path / "file").read_bytes()


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(whole(tmp_path))
    os.truncate(path, 1 << 40)  # most of it takes no place on the disk
    with pytest.raises(InputError, match=f"weights: has {1 << 40:,} bytes, at most {LIMIT:,}"):
        read_params(path, LIMIT)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    data, path = whole(tmp_path), tmp_path / "cut"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match="cut: not a file of MXNet's parameters"):
            read_params(path, LIMIT)


@pytest.mark.parametrize("hostile", [2**31 - 1, 2**31, 2**62, 2**64 - 1])
def test_hostile_lengths_take_no_memory(hostile: int, tmp_path: Path) -> None:
    data, path = whole(tmp_path), tmp_path / "hostile"
    tracemalloc.start()
    for at in range(len(data) - 7):
        path.write_bytes(data[:at] + struct.pack("<Q", hostile) + data[at + 8 :])
        try:
            read_params(path, LIMIT)
        except InputError:
            continue
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_any_damage_is_refused_or_reads_as_numbers(tmp_path: Path) -> None:
    data, path, rng = whole(tmp_path), tmp_path / "damaged", random.Random(0)
    for _ in range(500):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            assert all(isinstance(array, np.ndarray) for array in read_params(path, LIMIT).values())
        except InputError as error:
            assert str(error).startswith(f"{path}: ")


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    whole(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name, kind in (("link", "a link"), (".", "a folder")):
        with pytest.raises(InputError, match=kind):
            read_params(tmp_path / name, LIMIT)
