"""Data sets: the training part, cut into train and validation, and the sealed test part.

The search sees what `load` returns, which never opens a test file. `load_test` alone does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .files import Images, read_part
from .registry import DIGITS, DatasetInfo, dataset_info


@dataclass(frozen=True, eq=False)
class Dataset:
    """The training part of a data set, cut into train and validation."""

    info: DatasetInfo
    train: Images
    validation: Images
    fingerprint: str  # of all images and labels and of the split
    official: bool | None  # the files are the published ones; None: there are none
    mean: tuple[float, ...]  # per channel over the train images, in units of pixel / 255
    std: tuple[float, ...]
    notices: tuple[str, ...]


_DIGITS_TEST_SIZE = 297  # leaves 1,500 for the search
_DIGITS_TEST_SEED = 0


def load(
    name: str,
    data_dir: Path | None = None,
    validation_size: int | None = None,
    split_seed: int = 0,
) -> Dataset:
    """Reads the training part of a data set and cuts it into train and validation.

    Never opens a test file. The same files, size and seed give the same split on any machine.
    """
    info = dataset_info(name)
    if info is DIGITS:
        part, official = _digits(sealed=False), None
    else:
        part, official = read_part(info, data_dir, info.train_files)
    size = info.validation_size if validation_size is None else validation_size
    train_idx, val_idx = split_indices(part.labels, size, split_seed)
    train = Images(part.images[train_idx], part.labels[train_idx])
    validation = Images(part.images[val_idx], part.labels[val_idx])
    mean, std = channel_statistics(train.images)
    return Dataset(
        info=info,
        train=train,
        validation=validation,
        fingerprint=_split_fingerprint(name, part, val_idx),
        official=official,
        mean=mean,
        std=std,
        notices=part.notices,
    )


def load_test(name: str, data_dir: Path | None = None) -> Images:
    """Reads the sealed test part: for the final measurement of a finished search, never before."""
    info = dataset_info(name)
    if info is DIGITS:
        return _digits(sealed=True)
    return read_part(info, data_dir, info.test_files)[0]


def split_indices(
    labels: np.ndarray, validation_size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a stratified validation part from labels (n,): sorted indices of train and validation.

    Each class gives its share of the validation part, rounded by the largest remainder.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if not len(classes) <= validation_size <= len(labels) - len(classes):
        raise InputError(
            f"validation size {validation_size}: must lie between {len(classes)} and "
            f"{len(labels) - len(classes)}, so that of {len(labels)} images each of the "
            f"{len(classes)} classes keeps one in train and one in validation"
        )
    if seed < 0:
        raise InputError(f"split seed {seed}: must be at least 0")
    # NumPy promises the same raw words for ever, but not the same Generator.permutation.
    keys = np.random.PCG64(seed).random_raw(len(labels))
    chosen = np.zeros(len(labels), bool)
    for label, count, share in zip(classes, counts, _shares(counts, validation_size)):
        if not 0 < share < count:
            raise InputError(
                f"validation size {validation_size}: class {label} would give {share} of its "
                f"{count} images, but must keep one in train and one in validation"
            )
        members = np.flatnonzero(labels == label)
        chosen[members[np.argsort(keys[members], kind="stable")[:share]]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _shares(counts: np.ndarray, total: int) -> np.ndarray:
    """Parts of `total` in proportion to counts (k,), as whole numbers: the largest remainder."""
    # In whole numbers, so that rounding errors never decide between equal remainders.
    products = counts.astype(np.int64) * total
    shares = products // counts.sum()
    remainders = products % counts.sum()
    largest_first = np.argsort(-remainders, kind="stable")
    shares[largest_first[: total - shares.sum()]] += 1
    return shares


def fingerprint(part: Images) -> str:
    """16 hexadecimal digits that change with any pixel, any label and any shape."""
    digest = hashlib.sha256(f"{part.images.shape} {part.labels.shape} ".encode())
    digest.update(np.ascontiguousarray(part.images).data)
    digest.update(part.labels.astype("<i4").tobytes())
    return digest.hexdigest()[:16]


def _split_fingerprint(name: str, part: Images, val_idx: np.ndarray) -> str:
    digest = hashlib.sha256(f"{name} {fingerprint(part)} ".encode())
    digest.update(val_idx.astype("<i8").tobytes())
    return digest.hexdigest()[:16]


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of (n, c, h, w) uint8, in units of pixel / 255."""
    means, stds = [], []
    for channel in range(images.shape[1]):
        pixels = images[:, channel]
        # Sums of whole numbers are exact, so every machine finds the same normalization.
        total = int(pixels.sum(dtype=np.int64))
        squares = int(np.square(pixels, dtype=np.uint16).sum(dtype=np.int64))
        spread = pixels.size * squares - total**2
        if spread == 0:
            raise InputError(
                f"channel {channel} of the train images is constant (value {total // pixels.size} "
                "in every pixel): there is nothing to learn from"
            )
        means.append(total / pixels.size / 255)
        stds.append(spread**0.5 / pixels.size / 255)
    return tuple(means), tuple(stds)


def _digits(sealed: bool) -> Images:
    """The 1,797 digits of scikit-learn: the sealed 297, in place of a test part, or the rest.

    Pixels of 0 to 16 are spread over 0 to 255.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, np.newaxis]  # (1797, 1, 8, 8)
    labels = digits.target.astype(np.int32)
    search_idx, test_idx = split_indices(labels, _DIGITS_TEST_SIZE, _DIGITS_TEST_SEED)
    indices = test_idx if sealed else search_idx
    return Images(pixels[indices], labels[indices])
