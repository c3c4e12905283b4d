"""MXNet's `.params` files: named arrays, read strictly and written without MXNet.

A file may come from a stranger. Every length in it is checked against what is left of the file, so
that reading takes no more memory than twice the file's size.

All numbers are little-endian. The file is `u64 0x112, u64 0, u64 n`, n arrays, `u64 n`, n names. An
array is `u32 version, i32 storage, i32 ndim, i64 dims[ndim], i32 device, i32 device id, i32 dtype`
and its elements in C order; a name is its `u64 length` and its UTF-8 text.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ._files import atomic_file, open_regular
from .errors import InputError

_MAGIC = 0x112
# The versions of an array: MXNet 1.0, 1.1 to 1.9 and, with shapes as numpy has them, 1.6 to 1.9.
_WRITTEN = 0xF993FAC9
_AS_NUMPY = 0xF993FACA
_VERSIONS = (0xF993FAC8, _WRITTEN, _AS_NUMPY)
_CPU = 1
_MAX_DIMENSIONS = 32
# Bytes that the names and shapes of a network's arrays may take beside their elements.
NAMES_AND_SHAPES = 16 << 20
# The smallest array, of no elements, and the smallest name.
_LEAST_ARRAY, _LEAST_NAME = 24, 8
_DTYPES = {
    0: np.float32,
    1: np.float64,
    2: np.float16,
    3: np.uint8,
    4: np.int32,
    5: np.int8,
    6: np.int64,
    7: np.bool_,
}
_NUMBERS = {np.dtype(kind): number for number, kind in _DTYPES.items()}


def read_params(path: Path, limit: int) -> dict[str, np.ndarray]:
    """The arrays of a file by name, in the file's order.

    Names keep the prefixes `arg:` and `aux:` that `HybridBlock.export` writes. Raises InputError,
    naming the file, unless it is a regular file of at most `limit` bytes in this format.
    """
    with open_regular(path, limit=limit) as file:
        data = file.read()
    try:
        return _Reader(data).arrays()
    except _Damaged as error:
        raise InputError(f"{path}: not a file of MXNet's parameters: {error}") from None


def write_params(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes a file atomically, as MXNet 1.9.1 does byte for byte. Raises OSError."""
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        file.write(struct.pack("<QQQ", _MAGIC, 0, len(arrays)))
        for array in arrays.values():
            file.write(struct.pack("<Iii", _WRITTEN, 0, array.ndim))
            file.write(struct.pack(f"<{array.ndim}q", *array.shape))
            file.write(struct.pack("<iii", _CPU, 0, _NUMBERS[array.dtype]))
            file.write(array.tobytes())
        file.write(struct.pack("<Q", len(arrays)))
        for name in arrays:
            text = name.encode()
            file.write(struct.pack("<Q", len(text)) + text)


class _Damaged(ValueError):
    pass


class _Reader:
    """Reads from the start of the data to its end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def arrays(self) -> dict[str, np.ndarray]:
        magic, reserved = self._take("<QQ")
        if (magic, reserved) != (_MAGIC, 0):
            raise _Damaged("it does not begin as one")
        arrays = list(self._items(_LEAST_ARRAY, self._array))
        names = list(self._items(_LEAST_NAME, self._name))
        if len(names) != len(arrays):
            raise _Damaged(f"{len(arrays)} arrays have {len(names)} names")
        if self._left:
            raise _Damaged(f"{self._left} bytes follow its end")
        named = dict(zip(names, arrays))
        if len(named) != len(arrays):
            raise _Damaged("a name is given twice")
        return named

    @property
    def _left(self) -> int:
        return len(self._data) - self._at

    def _take(self, form: str) -> tuple[Any, ...]:
        size = struct.calcsize(form)
        if size > self._left:
            raise _Damaged("it ends too early")
        values = struct.unpack_from(form, self._data, self._at)
        self._at += size
        return values

    def _items(self, least: int, read: Any) -> Iterator[Any]:
        """A number, and that many items of at least `least` bytes."""
        (count,) = self._take("<Q")
        if count * least > self._left:
            raise _Damaged(f"{count} items cannot be in the {self._left} bytes that are left")
        return (read() for _ in range(count))

    def _array(self) -> np.ndarray:
        version, storage, dimensions = self._take("<Iii")
        if version not in _VERSIONS:
            raise _Damaged(f"an array is of the unknown version {version:#x}")
        if storage != 0:
            raise _Damaged("an array is sparse")
        # Elsewhere an array without dimensions is one without a value.
        if not (0 if version == _AS_NUMPY else 1) <= dimensions <= _MAX_DIMENSIONS:
            raise _Damaged(f"an array has {dimensions} dimensions")
        shape = self._take(f"<{dimensions}q")
        _, _, number = self._take("<iii")
        if number not in _DTYPES:
            raise _Damaged(f"an array is of the unknown type {number}")
        dtype = np.dtype(_DTYPES[number]).newbyteorder("<")
        count = math.prod(shape)
        # numpy refuses sides as large as these, even where another one is zero.
        huge = math.prod(side or 1 for side in shape) > 1 << 48
        if min(shape, default=0) < 0 or huge or count * dtype.itemsize > self._left:
            raise _Damaged(f"an array of the shape {shape} cannot be in the bytes that are left")
        array = np.frombuffer(self._data, dtype, count, self._at).reshape(shape)
        self._at += count * dtype.itemsize
        return array.astype(dtype.newbyteorder("="))  # a copy that can be written to

    def _name(self) -> str:
        (length,) = self._take("<Q")
        if length > self._left:
            raise _Damaged("a name is longer than what is left of the file")
        text = self._data[self._at : self._at + length]
        self._at += length
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise _Damaged("a name is not UTF-8") from None
