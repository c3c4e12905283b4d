"""The file formats of data sets: from bytes to arrays."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._text import counted
from ..errors import InputError
from .registry import CIFAR100, FASHION_MNIST, DatasetInfo


@dataclass(frozen=True, eq=False)
class Images:
    """One part of a data set: images `(n, channels, height, width)` and their labels `(n,)`.

    Pixels are uint8 from 0 to 255, labels int32 from 0. `notices` is for the user, about the files.
    """

    images: np.ndarray  # (n, channels, height, width) uint8
    labels: np.ndarray  # (n,) int32
    notices: tuple[str, ...] = ()  # for the user, about the files that they came from


def parse(info: DatasetInfo, contents: dict[Path, bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, channels, height, width) uint8 and labels (n,) int32 from the files of a part.

    Raises InputError, naming the file, if a file is invalid.
    """
    if info is FASHION_MNIST:
        return _parse_idx_pair(info, contents)
    return _parse_cifar(info, contents)


def _parse_cifar(info: DatasetInfo, contents: dict[Path, bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 32, 32) and labels (n,) from files of records: label bytes, then pixels."""
    label_bytes = 2 if info is CIFAR100 else 1  # CIFAR-100: superclass, then class
    record = label_bytes + 3 * 32 * 32
    pixels, labels = [], []
    for path, content in contents.items():
        if len(content) == 0 or len(content) % record:
            raise InputError(
                f"{path}: {len(content)} bytes are no whole number of records: {info.title} has "
                f"{record} bytes a record, and a file holds at least one"
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, record)
        pixels.append(records[:, label_bytes:])
        labels.append(_checked_labels(info, path, records[:, label_bytes - 1]))
    return np.concatenate(pixels).reshape(-1, *info.image_shape), np.concatenate(labels)


def _parse_idx_pair(
    info: DatasetInfo, contents: dict[Path, bytes]
) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 1, 28, 28) and labels (n,) from an idx file of images and one of labels."""
    (image_path, image_bytes), (label_path, label_bytes) = contents.items()
    images = _parse_idx(image_path, image_bytes, info.image_shape[1:])
    labels = _checked_labels(info, label_path, _parse_idx(label_path, label_bytes, ()))
    if len(images) != len(labels):
        raise InputError(
            f"{label_path}: {counted(len(labels), 'label')}, but {image_path.name} beside it holds "
            f"{counted(len(images), 'image')}: each image needs one label"
        )
    return images.reshape(-1, *info.image_shape).copy(), labels


def _parse_idx(path: Path, content: bytes, item_shape: tuple[int, ...]) -> np.ndarray:
    """The array (n, *item_shape) of bytes in an idx file."""
    dimensions = 1 + len(item_shape)
    header_bytes = 4 + 4 * dimensions
    if len(content) < header_bytes:
        raise InputError(
            f"{path}: {len(content)} bytes, but the header alone of an idx file of {dimensions} "
            f"dimensions takes {header_bytes}"
        )
    magic, count, *shape = struct.unpack(f">{1 + dimensions}I", content[:header_bytes])
    expected_magic = 0x0800 + dimensions  # 08: unsigned bytes
    if magic != expected_magic:
        raise InputError(
            f"{path}: magic number {magic}, but an idx file of bytes in {dimensions} "
            f"{'dimension' if dimensions == 1 else 'dimensions'} starts with {expected_magic}"
        )
    if tuple(shape) != item_shape:
        raise InputError(
            f"{path}: images of {' x '.join(map(str, shape))} pixels, but "
            f"{' x '.join(map(str, item_shape))} are expected"
        )
    expected_bytes = header_bytes + count * int(np.prod(item_shape, dtype=np.int64))
    if count == 0 or len(content) != expected_bytes:
        raise InputError(
            f"{path}: {len(content)} bytes for {count} items: there must be at least one item, "
            f"and {count} take {expected_bytes} bytes"
        )
    return np.frombuffer(content, np.uint8, offset=header_bytes).reshape(count, *item_shape)


def _checked_labels(info: DatasetInfo, path: Path, labels: np.ndarray) -> np.ndarray:
    """Labels (n,) as int32. Raises InputError, naming the record, if one is out of range."""
    wrong = np.flatnonzero(labels >= len(info.classes))
    if len(wrong):
        raise InputError(
            f"{path}: record {wrong[0]} (counted from 0) has label {labels[wrong[0]]}, but the "
            f"labels of {info.title} run from 0 to {len(info.classes) - 1}"
        )
    return labels.astype(np.int32)
