"""What lies at the path of one's own data: a folder for each class, an .npz or RecordIO files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from .folders import class_names, entries, folder_part, is_folder, listed
from .npz import array_part, keys_of, named_classes
from .parts import Part
from .recordio import record_part

TRAIN, VALIDATION, TEST = "train", "val", "test"
# The names that folders and .rec files of parts may have.
_SPELLINGS = {
    "train": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
}


@dataclass(frozen=True, eq=False)
class OwnData:
    """What lies at a path. The test part is opened by `open_test` alone."""

    place: Path
    classes: tuple[str, ...]
    train: Part
    validation: Part | None
    open_test: Callable[[], Part] | None
    notices: tuple[str, ...] = ()


def open_own(place: Path) -> OwnData:
    """Finds the parts and classes of the data at a path. Raises InputError if they are no data."""
    if os.path.isdir(place):
        parts = _parts_of(place)
        is_records = any(path.suffix == ".rec" for path in parts.values())
        data = (_open_records if is_records else _open_folders)(place, parts)
    elif not os.path.lexists(place):
        raise InputError(
            f"{place}: no such folder or file; --data-dir names the place of data that were moved"
        )
    elif place.suffix == ".npz":
        data = _open_npz(place)
    elif place.suffix == ".rec":
        data = _open_records(place, {TRAIN: place})
    else:
        raise InputError(
            f"{place}: a folder with a folder of images for each class, an .npz file or a .rec "
            "file is expected"
        )
    _check_classes(data)
    return replace(data, notices=(*data.notices, *_alike(data)))


def test_part(data: OwnData) -> Part | None:
    """The test part with its labels, without the images; None if there is none."""
    if data.open_test is None:
        return None
    part = data.open_test()
    _check_labels(data, part, TEST)
    return part


def _parts_of(place: Path) -> dict[str, Path]:
    """The parts in a folder by their names; the folder itself is `train` if it has none."""
    found: dict[str, Path] = {}
    there = entries(place)
    for entry in there:
        part = _part(entry)
        if part is None:
            continue
        if part in found:
            raise InputError(
                f"{place}: {found[part].name} and {entry.name} are both the {part} part: one of "
                "them is expected"
            )
        found[part] = Path(entry.path)
    classes = [entry for entry in there if is_folder(entry) and not _part(entry)]
    if TRAIN in found and not (classes and _is_class(found[TRAIN])):
        return found
    if TRAIN in found:  # cars, planes and trains
        return {TRAIN: place}
    if found:
        raise InputError(
            f"{place}: has {', '.join(path.name for path in found.values())}, but no train: name "
            "the part to train on `train`, or a class otherwise"
        )
    return {TRAIN: place}


def _part(entry: os.DirEntry[str]) -> str | None:
    """Which part a folder or .rec file is by its name; None if it is none."""
    stem, suffix = os.path.splitext(entry.name.lower())
    if suffix == ".rec":
        return _SPELLINGS.get(stem)
    return _SPELLINGS.get(entry.name.lower()) if is_folder(entry) else None


def _is_class(path: Path) -> bool:
    """Whether a path called `train` is a class, whose images lie in it."""
    return path.is_dir() and not any(is_folder(entry) for entry in entries(path))


def _open_folders(place: Path, parts: dict[str, Path]) -> OwnData:
    classes = class_names(parts[TRAIN])
    train, notices = folder_part(parts[TRAIN], classes)
    validation = None
    if VALIDATION in parts:
        validation, more = folder_part(parts[VALIDATION], classes)
        notices += more
    if parts[TRAIN] != place:
        others = [e.name for e in entries(place) if is_folder(e) and not _part(e)]
        if others:
            notices += (f"{place}: folders beside train are left out: {listed(others)}",)
    test = parts.get(TEST)
    open_test = None if test is None else lambda: folder_part(test, classes)[0]
    return OwnData(place, classes, train, validation, open_test, notices)


def _open_records(place: Path, parts: dict[str, Path]) -> OwnData:
    train = record_part(parts[TRAIN])
    classes = _numbered(train.labels)
    validation = record_part(parts[VALIDATION]) if VALIDATION in parts else None
    test = parts.get(TEST)
    open_test = None if test is None else lambda: record_part(test)
    return OwnData(place, classes, train, validation, open_test)


def _open_npz(place: Path) -> OwnData:
    keys = keys_of(place)
    train = array_part(place, TRAIN)
    classes = named_classes(place) if "classes" in keys else _numbered(train.labels)
    validation = array_part(place, VALIDATION) if "x_val" in keys else None
    open_test = (lambda: array_part(place, TEST)) if "x_test" in keys else None
    return OwnData(place, classes, train, validation, open_test)


def _numbered(labels: np.ndarray) -> tuple[str, ...]:
    return tuple(map(str, range(int(labels.max(initial=-1)) + 1)))


def _check_classes(data: OwnData) -> None:
    """Raises InputError unless there are two classes, and each has images to learn and rank by."""
    place, classes = data.place, data.classes
    if not len(data.train.labels):
        raise InputError(f"{place}: holds no images to train on")
    if len(classes) < 2:
        raise InputError(f"{place}: has {len(classes)} class: at least two are expected")
    if len(set(classes)) < len(classes):
        raise InputError(f"{place}: classes has the same name twice")
    _check_labels(data, data.train, TRAIN)
    counts = np.bincount(data.train.labels, minlength=len(classes))
    empty = [classes[label] for label in np.flatnonzero(counts == 0)]
    if empty:
        raise InputError(
            f"{place}: no image of class {listed(empty)} to train on: add images, or remove "
            f"{'it' if len(empty) == 1 else 'them'} from the classes"
        )
    if data.validation is not None:
        _check_labels(data, data.validation, VALIDATION)
        if not len(data.validation.labels):
            raise InputError(f"{place}: its validation part holds no images")
        return
    single = [classes[label] for label in np.flatnonzero(counts == 1)]
    if single:
        raise InputError(
            f"{place}: only one image of class {listed(single)}: at least two are needed, one to "
            "train on and one to rank by"
        )


def _check_labels(data: OwnData, part: Part, name: str) -> None:
    wrong = np.flatnonzero(part.labels >= len(data.classes))
    if len(wrong):
        raise InputError(
            f"{data.place}: image {wrong[0]} (counted from 0) of the {name} part has label "
            f"{part.labels[wrong[0]]}, but the labels of its {len(data.classes)} classes run from "
            f"0 to {len(data.classes) - 1}"
        )


def _alike(data: OwnData) -> tuple[str, ...]:
    """A notice about classes whose names differ by case alone, as letters' may well do."""
    first: dict[str, str] = {}
    for name in data.classes:
        other = first.setdefault(name.casefold(), name)
        if other != name:
            return (f"{data.place}: {other} and {name} are two classes, which differ by case",)
    return ()
