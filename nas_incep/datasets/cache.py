"""Decoded copies of images whose decoding is slow, for the workers and the next search."""

from __future__ import annotations

import hashlib
import math
import time
from pathlib import Path

import numpy as np

from .._files import atomic_file
from .files import mxnet_home
from .parts import Part

SLOW_SECONDS = 5.0  # decoding that takes longer is done once
_SUM = hashlib.sha256().digest_size
# Changes with how images are decoded.
_VERSION = 1


def pixels(part: Part, digest: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """The images of a part as `part.pixels` gives them; `digest` is that of the part.

    Slowly decoded images are kept beside MXNet's data sets, in a file of a checksum and the pixels.
    Where that fails, or the file is damaged, they are decoded again.
    """
    path = _path(digest, shape)
    kept = _read(path, (len(part.labels), *shape)) if path else None
    if kept is not None:
        return kept
    start = time.monotonic()
    decoded = part.pixels(shape)
    if path and time.monotonic() - start > SLOW_SECONDS:
        _write(path, decoded)
    return decoded


def _path(digest: bytes, shape: tuple[int, int, int]) -> Path | None:
    key = hashlib.sha256(f"{_VERSION} {shape} ".encode() + digest).hexdigest()[:32]
    home = mxnet_home()
    return home and home / "datasets" / "decoded" / f"{key}.pixels"


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    try:
        if path.stat().st_size != _SUM + math.prod(shape):
            return None
        with open(path, "rb") as file:
            expected = file.read(_SUM)
            kept = np.fromfile(file, np.uint8)
    except OSError:
        return None
    if len(kept) != math.prod(shape) or hashlib.sha256(kept.data).digest() != expected:
        return None
    return kept.reshape(shape)


def _write(path: Path, decoded: np.ndarray) -> None:
    try:
        path.parent.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as temporary, open(temporary, "wb") as file:
            file.write(hashlib.sha256(decoded.data).digest())
            file.write(decoded.data)
    except OSError:  # a full disk or a folder that is read-only: nothing is lost but time
        pass
