"""The files of data sets: where they lie, whether they are the published ones, what is in them."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .registry import CIFAR100, FASHION_MNIST, OFFICIAL_SHA1, SUPERSEDED_SHA1, DatasetInfo


@dataclass(frozen=True, eq=False)
class Images:
    """Images with labels: one part of a data set."""

    images: np.ndarray  # (n, channels, height, width) uint8
    labels: np.ndarray  # (n,) int32
    notices: tuple[str, ...] = ()  # what the user should know of the files they came from


def default_folder(info: DatasetInfo) -> Path:
    """Where MXNet keeps the files of a data set."""
    home = os.environ.get("MXNET_HOME")
    root = Path(home) if home else Path.home() / ".mxnet"
    return root / "datasets" / info.mxnet_folder


def candidate_folders(info: DatasetInfo, data_dir: Path | None = None) -> list[Path]:
    """Where the files of a data set may lie, the first choice first."""
    if data_dir is None:
        roots = [default_folder(info)]
    else:
        data_dir = data_dir.expanduser()
        roots = [data_dir, *(data_dir / name for name in info.subfolders)]
    folders = []
    for root in roots:
        folders.append(root)
        if info.archive_folder:
            folders.append(root / info.archive_folder)
    if data_dir is None and info.system_folder:
        folders.append(Path(info.system_folder))
    return folders


def find_folder(info: DatasetInfo, data_dir: Path | None = None) -> Path | None:
    """The first candidate that holds at least one file of the data set."""
    files = info.train_files + info.test_files
    for folder in candidate_folders(info, data_dir):
        if any(find_file(folder, name) for name in files):
            return folder
    return None


def find_file(folder: Path, name: str) -> Path | None:
    """The file of that name in a folder or, in place of a .gz file, the same file unpacked."""
    try:
        present = {entry.name for entry in folder.iterdir()}
    except OSError:
        return None
    for spelling in (name, name.removesuffix(".gz")):
        if spelling in present:
            return folder / spelling
    return None


def read_contents(path: Path) -> bytes:
    """The bytes of a file, unpacked if it ends in .gz. Raises InputError, naming it, on a fault."""
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if path.suffix != ".gz":
        return contents
    try:
        return gzip.decompress(contents)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a whole gzip file: {error}") from None


def contents_sha1(contents: bytes) -> str:
    """The SHA-1 sum, as OFFICIAL_SHA1 has it; it finds accidents, and need not stop attackers."""
    return hashlib.sha1(contents, usedforsecurity=False).hexdigest()


def read_part(
    info: DatasetInfo, data_dir: Path | None, names: tuple[str, ...]
) -> tuple[Images, bool]:
    """Reads the named files into one part, and tells whether they are the official ones."""
    folder = find_folder(info, data_dir)
    if folder is None:
        places = ", ".join(map(str, candidate_folders(info, data_dir)))
        raise InputError(
            f"{info.title} lies in none of the places looked at ({places}): "
            f"`nas-incep data {info.name}` downloads it"
        )
    paths = [find_file(folder, name) for name in names]
    missing = [name for name, path in zip(names, paths) if path is None]
    if missing:
        raise InputError(
            f"{folder}: {', '.join(missing)} not there, but {info.title} needs "
            f"{', '.join(names)}: `nas-incep data {info.name}` downloads what is missing"
        )
    contents = {path: read_contents(path) for path in paths if path is not None}
    images, labels = (_parse_idx_pair if info is FASHION_MNIST else _parse_cifar)(info, contents)
    sums = [contents_sha1(content) for content in contents.values()]
    notices = _sum_notices(info, folder, dict(zip(names, sums)))
    official = not notices
    absent = sorted(set(range(len(info.classes))) - set(labels.tolist()))
    if absent:
        listed = ", ".join(info.classes[label] for label in absent)
        notices += (f"{folder}: {', '.join(names)}: no image of class {listed}",)
    return Images(images, labels, notices), official


def _sum_notices(info: DatasetInfo, folder: Path, sums: dict[str, str]) -> tuple[str, ...]:
    """What is to be said of files with these SHA-1 sums: nothing, if they are the official ones."""
    differing = [name for name, found in sums.items() if found != OFFICIAL_SHA1[name]]
    if not differing:
        return ()
    if SUPERSEDED_SHA1.intersection(sums.values()):
        return (
            f"{folder}: {', '.join(differing)} belong to {info.title}'s first edition, which its "
            "authors replaced in August 2017 because of duplicate images: results are not "
            "comparable with published ones",
        )
    return (
        f"{folder}: {', '.join(differing)} {'differs' if len(differing) == 1 else 'differ'} from "
        f"the official files of {info.title}: results are not comparable with published ones",
    )


def _parse_cifar(info: DatasetInfo, contents: dict[Path, bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 32, 32) and labels (n,) of files of records: label bytes, then the pixels."""
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
    """Images (n, 1, 28, 28) and labels (n,) of an idx file of images and one of labels."""
    (image_path, image_bytes), (label_path, label_bytes) = contents.items()
    images = _parse_idx(image_path, image_bytes, info.image_shape[1:])
    labels = _checked_labels(info, label_path, _parse_idx(label_path, label_bytes, ()))
    if len(images) != len(labels):
        raise InputError(
            f"{label_path}: {len(labels)} labels, but {image_path.name} beside it holds "
            f"{len(images)} images: each image needs one label"
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
    """Labels (n,) as int32. Raises InputError, naming the record, where one is out of range."""
    wrong = np.flatnonzero(labels >= len(info.classes))
    if len(wrong):
        raise InputError(
            f"{path}: record {wrong[0]} (counted from 0) has label {labels[wrong[0]]}, but the "
            f"labels of {info.title} run from 0 to {len(info.classes) - 1}"
        )
    return labels.astype(np.int32)
