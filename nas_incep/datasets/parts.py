"""A part of one's own data, for training, validation or the test, before it is decoded."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from .._machine import usable_cpus
from .._text import counted, plain
from ..errors import InputError
from . import pictures
from .form import Found
from .pictures import Unreadable

NAMED = 3  # images that cannot be read are named up to this number
FEW = 256  # images for which threads are not worth their start
MAX_THREADS = 8

_T = TypeVar("_T")


class Part(Protocol):
    """Images with labels; nothing but what a method needs is read."""

    @property
    def labels(self) -> np.ndarray:
        """(n,) int32."""
        ...

    def digest(self) -> bytes:
        """A sum of the labels and of what the files hold, the same on every machine."""
        ...

    def found(self) -> Found:
        """The sizes and kinds of the images."""
        ...

    def pixels(self, shape: tuple[int, int, int]) -> np.ndarray:
        """All images as uint8 of the shape (n, channels, height, width)."""
        ...


@dataclass(frozen=True, eq=False)
class EncodedPart:
    """Images in files or records. Its methods raise InputError, naming the first few unreadable."""

    place: Path
    names: Sequence[str]  # of the images, for messages
    labels: np.ndarray
    read: Callable[[int], bytes]  # what an image's file holds; raises Unreadable

    def digest(self) -> bytes:
        whole = hashlib.sha256(self.labels.astype("<i4").tobytes())
        for one in self._each(lambda index: hashlib.sha256(self.read(index)).digest()):
            whole.update(one)
        return whole.digest()

    def found(self) -> Found:
        looks = self._each(self._look)
        sizes = Counter(look[0] for look in looks if look)
        gray = sum(look[1] for look in looks if look)
        return Found(sizes, gray, sum(sizes.values()) - gray)

    def pixels(self, shape: tuple[int, int, int]) -> np.ndarray:
        check_images_memory(self.place, len(self.labels), shape)
        pixels = np.empty((len(self.labels), *shape), np.uint8)

        def decode(index: int) -> None:
            pixels[index] = pictures.decode(self.read(index), shape)

        self._each(decode)
        return pixels

    def _look(self, index: int) -> tuple[tuple[int, int], bool] | None:
        try:
            return pictures.look(self.read(index))
        except Unreadable:
            return None  # `pixels` tells of all unreadable images together

    def _each(self, work: Callable[[int], _T]) -> list[_T]:
        """The results of `work` for the index of each image. Raises InputError."""

        def tried(index: int) -> _T | Unreadable:
            try:
                return work(index)
            except Unreadable as fault:
                return fault

        count = len(self.labels)
        with pictures.quiet():
            if count < FEW:
                results = [tried(index) for index in range(count)]
            else:
                results = _in_threads(tried, count)
        faults = {i: one for i, one in enumerate(results) if isinstance(one, Unreadable)}
        if faults:
            raise InputError(self._complaint(faults))
        return [one for one in results if not isinstance(one, Unreadable)]

    def _complaint(self, faults: dict[int, Unreadable]) -> str:
        first = list(faults.items())[:NAMED]
        listed = ", ".join(
            f"{plain(self.names[index], 200)} ({plain(fault, 100)})" for index, fault in first
        )
        more = f" and {len(faults) - NAMED:,} more" if len(faults) > NAMED else ""
        return (
            f"{self.place}: {len(faults):,} of {len(self.labels):,} images cannot be read: "
            f"{listed}{more}: repair or remove {'it' if len(faults) == 1 else 'them'}"
        )


def _in_threads(work: Callable[[int], _T], count: int) -> list[_T]:
    pool = ThreadPoolExecutor(min(usable_cpus(), MAX_THREADS))
    try:
        return list(pool.map(work, range(count)))
    finally:  # Ctrl-C does not wait for what has not begun
        pool.shutdown(cancel_futures=True)


def check_images_memory(place: Path, count: int, shape: tuple[int, int, int]) -> None:
    """Raises InputError if so many images of (channels, height, width) take too much memory."""
    what = f"{place}: {counted(count, 'image')} of {'x'.join(map(str, shape))}"
    check_memory(what, count * math.prod(shape), "; give a smaller --image-size")


def check_memory(what: str, size: int, advice: str = "") -> None:
    """Raises InputError if `size` bytes are more than half of this machine's memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # A second copy is made when images are split into train and validation.
    if size > memory // 2:
        raise InputError(
            f"{what}: {size:,} bytes, more than half of this machine's {memory:,} bytes of memory"
            f"{advice}"
        )
