"""The split into train and validation, and fingerprints of the data and the split."""

from __future__ import annotations

import hashlib

import numpy as np

from .._text import counted
from ..errors import InputError
from .formats import Images


def split_indices(
    labels: np.ndarray, validation_size: int, seed: int, at_least_one: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a stratified validation part from labels (n,): sorted indices of train and validation.

    Each class gives its share of the validation part, rounded by the largest remainder method;
    with `at_least_one` a rare class gives one image, and a common one fewer for it. Raises
    InputError if some class would not keep at least one image in both parts.
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
    # NumPy guarantees the raw words of PCG64 forever, but not Generator.permutation.
    keys = np.random.PCG64(seed).random_raw(len(labels))
    chosen = np.zeros(len(labels), bool)
    shares = _shares(counts, validation_size)
    if at_least_one:
        shares = _at_least_one(shares, counts)
    for label, count, share in zip(classes, counts, shares):
        if not 0 < share < count:
            raise InputError(
                f"validation size {validation_size}: class {label} would give {share} of its "
                f"{counted(count, 'image')}, but must keep one in train and one in validation"
            )
        members = np.flatnonzero(labels == label)
        chosen[members[np.argsort(keys[members], kind="stable")[:share]]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _shares(counts: np.ndarray, total: int) -> np.ndarray:
    """Integer parts of `total` in proportion to counts (k,), by the largest remainder method."""
    # Integer arithmetic, so that rounding errors never decide between equal remainders.
    products = counts.astype(np.int64) * total
    shares = products // counts.sum()
    remainders = products % counts.sum()
    largest_first = np.argsort(-remainders, kind="stable")
    shares[largest_first[: total - shares.sum()]] += 1
    return shares


def _at_least_one(shares: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The shares (k,) of classes of `counts` images, each at least 1 and below its count."""
    fair = np.clip(shares, 1, np.maximum(counts - 1, 1))
    while fair.sum() != shares.sum():
        step = 1 if fair.sum() < shares.sum() else -1
        # Where most is left to give or to take, so that the other shares stay as they are.
        fair[np.argmax(counts - 1 - fair if step > 0 else fair)] += step
    return fair


def fingerprint(part: Images) -> str:
    """16 hexadecimal digits that change with any pixel, any label and any shape."""
    digest = hashlib.sha256(f"{part.images.shape} {part.labels.shape} ".encode())
    digest.update(np.ascontiguousarray(part.images).data)
    digest.update(part.labels.astype("<i4").tobytes())
    return digest.hexdigest()[:16]


def split_fingerprint(name: str, part: Images, val_idx: np.ndarray) -> str:
    """16 hexadecimal digits that change with the data set's name, its images and the split."""
    digest = hashlib.sha256(f"{name} {fingerprint(part)} ".encode())
    digest.update(val_idx.astype("<i8").tobytes())
    return digest.hexdigest()[:16]
