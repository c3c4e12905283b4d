"""Images in one folder for each class."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .._text import plain
from ..errors import InputError
from .parts import EncodedPart
from .pictures import MAX_BYTES, SUFFIXES, Unreadable


def class_names(root: Path) -> tuple[str, ...]:
    """The folders in `root`, sorted; hidden ones are left out.

    Raises InputError if there are none, or if the images lie beside them.
    """
    names = [entry.name for entry in entries(root) if is_folder(entry)]
    if not names:
        raise InputError(
            f"{root}: has no class folders: a folder is expected for each class, named after it, "
            "with the images of the class in it"
        )
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise InputError(f"{root}: a class folder's name, {name!r}, is no Unicode") from None
    return tuple(names)


def folder_part(root: Path, classes: tuple[str, ...]) -> tuple[EncodedPart, tuple[str, ...]]:
    """The images below the class folders of `root`, and notices about what was left out.

    Links are followed. Raises InputError if a folder cannot be listed or is no known class.
    """
    unknown = sorted(set(class_names(root)) - set(classes))
    if unknown:
        raise InputError(
            f"{root}: has the class {unknown[0]!r}, which the train part has not: the classes are "
            f"{listed(classes)}"
        )
    names, labels, others = [], [], []
    for label, name in enumerate(classes):
        if not os.path.isdir(root / name):
            continue
        for path in sorted(_files(root / name)):
            relative = os.path.relpath(path, root)
            if path.lower().endswith(SUFFIXES):
                names.append(relative)
                labels.append(label)
            else:
                others.append(relative)
    files = [entry.name for entry in entries(root) if not is_folder(entry)]
    loose = [name for name in files if name.lower().endswith(SUFFIXES)]
    notices = []
    if loose:
        notices.append(
            f"{root}: images beside the class folders are left out ({len(loose):,}; the first is "
            f"{plain(loose[0])})"
        )
    if others:
        notices.append(
            f"{root}: files that are no images by their names are left out ({len(others):,}; the "
            f"first is {plain(others[0])})"
        )
    part = EncodedPart(
        root, names, np.array(labels, np.int32), lambda index: read_file(root / names[index])
    )
    return part, tuple(notices)


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, sorted by name, without hidden files. Raises InputError."""
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from None


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one. Raises InputError for a link to nothing."""
    try:
        # Of most entries the listing itself tells.
        return stat.S_ISDIR(entry.stat().st_mode) if entry.is_symlink() else entry.is_dir()
    except OSError as error:
        # What looks like an image is counted with the others that cannot be read.
        if entry.name.lower().endswith(SUFFIXES):
            return False
        raise InputError(f"{entry.path}: cannot be read: {error.strerror}") from None


def read_file(path: Path) -> bytes:
    """What a regular file holds; raises Unreadable."""
    try:
        # Without waiting for a FIFO's writer.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(number, "rb") as file:
            status = os.fstat(number)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("not a regular file")
            if status.st_size > MAX_BYTES:
                raise Unreadable(f"more than {MAX_BYTES >> 20} MB")
            return file.read(MAX_BYTES)
    except (OSError, ValueError) as error:  # a name with a zero byte
        raise Unreadable(getattr(error, "strerror", None) or str(error)) from None


def _files(folder: Path) -> Iterator[str]:
    """The files in a folder and below it; a folder that links lead to again is read once."""
    left, seen = [str(folder)], set()
    while left:
        place = left.pop()
        real = os.path.realpath(place)
        if real in seen:
            continue
        seen.add(real)
        for entry in entries(Path(place)):
            if is_folder(entry):
                left.append(entry.path)
            else:
                yield entry.path


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names as a phrase, the first few of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
