"""Images and labels as arrays in an .npz file, as Keras has them; pickles are not opened."""

from __future__ import annotations

import hashlib
import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Literal

import numpy as np
from numpy.lib import format as npy

from .._text import counted
from ..architecture import MAX_WIDTH
from ..errors import InputError
from .form import Found
from .parts import check_images_memory, check_memory
from .pictures import prepared

KEYS = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test", "classes")
MAX_NAMES = 1 << 20  # bytes of all class names
MAX_LABELS = 1 << 32  # bytes of the labels of a part
_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class ArrayPart:
    """The images `x_PART` and labels `y_PART` of a file; the images are read when they are used."""

    place: Path
    key: str
    labels: np.ndarray

    def digest(self) -> bytes:
        images = self._images()
        digest = hashlib.sha256(f"{images.shape} ".encode())
        digest.update(self.labels.astype("<i4").tobytes())
        digest.update(np.ascontiguousarray(images).data)
        return digest.digest()

    def found(self) -> Found:
        with _member(self.place, self.key) as (_, header):
            count, height, width, channels = _image_shape(self.place, self.key, header.shape)
        sizes = Counter({(height, width): count})
        return Found(sizes, count, 0) if channels == 1 else Found(sizes, 0, count)

    def pixels(self, shape: tuple[int, int, int]) -> np.ndarray:
        images = self._images()
        check_images_memory(self.place, len(images), shape)
        if (images.shape[3], *images.shape[1:3]) == shape:
            return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        from PIL import Image

        pixels = np.empty((len(images), *shape), np.uint8)
        for index, image in enumerate(images):
            gray = image.shape[2] == 1
            pixels[index] = prepared(Image.fromarray(image[:, :, 0] if gray else image), shape)
        return pixels

    def _images(self) -> np.ndarray:
        """The images as uint8 of the shape (n, height, width, channels)."""
        images = read_array(self.place, self.key)
        if images.dtype != np.uint8:
            raise InputError(
                f"{self.place}: {self.key} holds {images.dtype}, but pixels from 0 to 255 as uint8 "
                "are expected"
            )
        shape = _image_shape(self.place, self.key, images.shape)
        if len(images) != len(self.labels):
            raise InputError(
                f"{self.place}: {self.key} has {counted(len(images), 'image')}, but there "
                f"are {len(self.labels):,} labels: each image needs one label"
            )
        if images.ndim == 4 and images.shape[1:] != shape[1:]:  # the channels come first
            return images.transpose(0, 2, 3, 1)
        return images.reshape(shape)


def keys_of(path: Path) -> frozenset[str]:
    """The names of the arrays in an .npz file.

    Raises InputError if it is no such file or holds an array that is not expected.
    """
    with _opened(path) as archive:
        names = frozenset(name.removesuffix(".npy") for name in archive.namelist())
    missing = [key for key in KEYS[:2] if key not in names]
    if missing:
        raise InputError(
            f"{path}: {missing[0]} is missing: x_train and y_train are expected, and x_val, y_val, "
            "x_test, y_test and classes may be there"
        )
    for part in ("val", "test"):
        both = {f"x_{part}", f"y_{part}"}
        if len(both & names) == 1:
            raise InputError(f"{path}: has {min(both & names)}, but not {min(both - names)}")
    unknown = sorted(names - frozenset(KEYS))
    if unknown:
        raise InputError(
            f"{path}: has the array {unknown[0]!r}: only {', '.join(KEYS)} are expected"
        )
    return names


def array_part(path: Path, part: str) -> ArrayPart:
    """The part `train`, `val` or `test` of a file. Raises InputError if its labels are invalid."""
    key = f"y_{part}"
    labels = read_array(path, key, MAX_LABELS)
    if labels.ndim == 2 and labels.shape[1] == 1:  # as Keras's CIFAR-10 has them
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InputError(
            f"{path}: {key} holds {labels.dtype} of shape {labels.shape}, but one integer for each "
            "image is expected"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= MAX_WIDTH))
    if len(wrong):
        raise InputError(
            f"{path}: {key}[{wrong[0]}] is {labels[wrong[0]]}, but a label from 0 to "
            f"{MAX_WIDTH - 1} is expected"
        )
    return ArrayPart(path, f"x_{part}", labels.astype(np.int32))


def named_classes(path: Path) -> tuple[str, ...]:
    """The texts in the array `classes` of an .npz file."""
    names = read_array(path, "classes", MAX_NAMES)
    if names.ndim != 1 or names.dtype.kind != "U":
        raise InputError(
            f"{path}: classes holds {names.dtype} of shape {names.shape}, but a list of texts is "
            "expected"
        )
    try:
        texts = tuple(names.tolist())
        "".join(texts).encode()
    except (UnicodeError, ValueError):
        raise InputError(f"{path}: classes has a text that is no Unicode") from None
    return texts


def read_array(path: Path, key: str, limit: int | None = None) -> np.ndarray:
    """An array of an .npz file, of at most `limit` bytes. Raises InputError; opens no pickle."""
    with _member(path, key) as (file, header):
        size = header.count * header.dtype.itemsize
        if limit is not None and size > limit:
            raise InputError(f"{path}: {key} has {size:,} bytes, at most {limit:,} are expected")
        check_memory(f"{path}: {key}", size)
        data = file.read(size + 1)  # one more than expected, to detect a longer one
        if len(data) != size:
            found = "more" if len(data) > size else f"{len(data):,}"
            raise InputError(
                f"{path}: {key} takes {size:,} bytes by its shape {header.shape} of "
                f"{header.dtype}, but has {found}"
            )
        if not size:
            return np.empty(header.shape, header.dtype)
        order: Literal["F", "C"] = "F" if header.fortran_order else "C"
        return np.frombuffer(data, header.dtype).reshape(header.shape, order=order)


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype

    @property
    def count(self) -> int:
        return math.prod(self.shape)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Opens an .npz file; what zipfile raises while the block reads it becomes an InputError."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: cannot be read: not a regular file")
        with zipfile.ZipFile(path) as archive:
            yield archive
    except InputError:
        raise
    # For damaged files zipfile raises errors of many kinds, RuntimeError for an encrypted one.
    except (OSError, ValueError, EOFError, OverflowError, RuntimeError, *_ZIP_FAULTS) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        raise InputError(f"{path}: not a whole .npz file: {error or 'cut off'}") from None


@contextmanager
def _member(path: Path, key: str) -> Iterator[tuple[IO[bytes], _Header]]:
    """The bytes of an array and its header."""
    with _opened(path) as archive:
        try:
            member = archive.open(f"{key}.npy")
        except KeyError:
            raise InputError(f"{path}: {key} is missing") from None
        with member as file:
            yield file, _read_header(path, key, file)


def _read_header(path: Path, key: str, file: IO[bytes]) -> _Header:
    try:
        version = npy.read_magic(file)
        if version != (1, 0):  # later ones are for arrays that are no images, and have no bound
            raise ValueError(f"version {version[0]}.{version[1]} of the format is not supported")
        header = _Header(*npy.read_array_header_1_0(file))
        if min(header.shape, default=0) < 0:
            raise ValueError(f"its shape is {header.shape}")
        if not header.dtype.itemsize:
            raise ValueError(f"its values, {header.dtype}, have no bytes")
    except (ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: {key} is not a whole array: {first}") from None
    except (SyntaxError, TokenError):  # of numpy's second attempt, for headers from Python 2
        raise InputError(f"{path}: {key} is not a whole array: its header is invalid") from None
    if header.dtype.hasobject:
        raise InputError(
            f"{path}: {key} holds Python objects, which are never read, because unpickling can run "
            "any code: save it as numbers, or as texts of a fixed length"
        )
    return header


def _image_shape(path: Path, key: str, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Number, height, width and channels of images of a shape. Raises InputError."""
    if len(shape) == 3 and min(shape[1:]):
        return (*shape, 1)
    if len(shape) == 4 and min(shape[1:]):
        if shape[3] in (1, 3):
            return (shape[0], shape[1], shape[2], shape[3])
        if shape[1] in (1, 3):
            return (shape[0], shape[2], shape[3], shape[1])
    raise InputError(
        f"{path}: {key} has the shape {shape}, but (images, height, width) or (images, height, "
        "width, channels) with 1 or 3 channels is expected"
    )
