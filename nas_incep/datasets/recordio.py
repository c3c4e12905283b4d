"""MXNet's RecordIO files of images, as its im2rec writes them, read without MXNet.

A record is a magic number, a word with its length and with which piece of a longer record it is,
then its bytes, filled up to a multiple of four. The bytes are a header with the label, then a JPEG
or PNG file.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from ..architecture import MAX_WIDTH
from ..errors import InputError
from .parts import EncodedPart
from .pictures import MAX_BYTES, Unreadable

MAGIC = 0xCED7230A
_START = struct.Struct("<II")  # the magic number; three bits of kind, 29 bits of length
_HEADER = struct.Struct("<IfQQ")  # how many labels follow (0: one, in the next field), label, ids
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


class _Damaged(Exception):
    """What is wrong with a record, in a few words."""


def record_part(path: Path) -> EncodedPart:
    """The images of a .rec file; an index beside it is not needed.

    Raises InputError, naming the record, if the file is damaged or a label is no class number.
    """
    starts, labels = _scan(path)

    def read(index: int) -> bytes:
        with _opened(path) as file:
            file.seek(starts[index])
            try:
                return _image(_record(file))
            except _Damaged:  # it was whole a moment ago
                raise Unreadable("the file has changed") from None

    names = [f"record {index}" for index in range(len(labels))]
    return EncodedPart(path, names, np.array(labels, np.int32), read)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        # Without waiting for a FIFO's writer.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise InputError(f"{path}: cannot be read: not a regular file")
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _scan(path: Path) -> tuple[list[int], list[int]]:
    """Where each record of a file starts, and its label. Raises InputError."""
    starts: list[int] = []
    labels: list[int] = []
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        while (start := file.tell()) < size:
            try:
                labels.append(_label(_record(file)))
            except _Damaged as fault:
                raise InputError(
                    f"{path}: record {len(labels)} (counted from 0, at byte {start:,}) {fault}"
                ) from None
            starts.append(start)
    if not labels:
        raise InputError(f"{path}: holds no records")
    return starts, labels


def _record(file: IO[bytes]) -> bytes:
    """The next record, put together from its pieces. Raises _Damaged."""
    pieces: list[bytes] = []
    read = 0
    while True:
        start = file.read(_START.size)
        if len(start) < _START.size:
            raise _Damaged("is cut off")
        magic, word = _START.unpack(start)
        kind, length = word >> 29, word & ((1 << 29) - 1)
        if magic != MAGIC:
            raise _Damaged(f"starts with {magic:#x}, but all records start with {MAGIC:#x}")
        if kind not in ((_MIDDLE, _LAST) if pieces else (_WHOLE, _FIRST)):
            place = "next" if pieces else "first"
            raise _Damaged(f"has a piece of kind {kind}, which cannot come {place}")
        read += length + _START.size
        if read > MAX_BYTES:
            raise _Damaged(f"has more than {MAX_BYTES >> 20} MB")
        piece = file.read(-(-length // 4) * 4)
        if len(piece) < length:
            raise _Damaged("is cut off")
        pieces.append(piece[:length])
        if kind in (_WHOLE, _LAST):
            # Where the magic number is part of a record, the writer leaves it out and splits there.
            return _START.pack(MAGIC, 0)[:4].join(pieces)


def _label(record: bytes) -> int:
    count, label, _, _ = _header(record)
    if count > 1:
        raise _Damaged(f"has {count:,} labels, but one class for each image is expected")
    if count:
        label = struct.unpack_from("<f", record, _HEADER.size)[0]
    if not (label == label // 1 and 0 <= label < MAX_WIDTH):
        raise _Damaged(f"has label {label:g}, but an integer from 0 to {MAX_WIDTH - 1} is expected")
    return int(label)


def _image(record: bytes) -> bytes:
    return record[_HEADER.size + 4 * _header(record)[0] :]


def _header(record: bytes) -> tuple[int, float, int, int]:
    """How many labels follow the header, the label in it, two numbers of the image."""
    if len(record) < _HEADER.size:
        raise _Damaged(f"has {len(record)} bytes, but its header alone takes {_HEADER.size}")
    header = _HEADER.unpack_from(record)
    if len(record) < _HEADER.size + 4 * header[0]:
        raise _Damaged(f"is too short for its {header[0]:,} labels")
    return header
