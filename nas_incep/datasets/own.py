"""Reading one's own data: their form, their split, their fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from . import cache
from .folders import listed
from .form import ImageForm, decide
from .formats import Images
from .layouts import OwnData, open_own, test_part
from .parts import Part
from .registry import DatasetInfo
from .splits import split_indices

PART_OF_VALIDATION = 5  # one image in this many, unless the user gives a number
MOST_VALIDATION = 10_000


@dataclass(frozen=True, eq=False)
class OwnDataset:
    """The training part, split into train and validation."""

    info: DatasetInfo
    train: Images
    validation: Images
    fingerprint: str  # of what the files hold, the classes, the form and the split
    notices: tuple[str, ...]


def load_own(
    place: Path, validation_size: int | None, split_seed: int, form: ImageForm
) -> OwnDataset:
    """Reads the training part at a path and splits it, unless it has a validation part of its own.

    The test part is not opened. Raises InputError if the data are invalid or cannot be split.
    """
    data = open_own(place)
    form, notices = _settled(data, form)
    shape = form.shape
    assert shape is not None
    digest = data.train.digest()
    images = Images(cache.pixels(data.train, digest, shape), data.train.labels)
    names = json.dumps(data.classes)
    whole = hashlib.sha256(f"{names} {shape} ".encode() + digest)
    if data.validation is None:
        size = _validation_size(data) if validation_size is None else validation_size
        train_idx, val_idx = split_indices(images.labels, size, split_seed, at_least_one=True)
        validation = Images(images.images[val_idx], images.labels[val_idx])
        images = Images(images.images[train_idx], images.labels[train_idx])
        whole.update(val_idx.astype("<i8").tobytes())
    else:
        _check_validation_size(data, validation_size)
        digest = data.validation.digest()
        whole.update(digest)
        pixels = cache.pixels(data.validation, digest, shape)
        validation = Images(pixels, data.validation.labels)
        notices += _absent(data, data.validation, "validation")
    info = DatasetInfo(
        name=place.name,
        title=place.name,
        classes=data.classes,
        image_shape=shape,
        flip=form.flip,
        crop_padding=max(1, min(shape[1:]) // 8),
        validation_size=len(validation.labels),
    )
    fingerprint = whole.hexdigest()[:16]
    return OwnDataset(info, images, validation, fingerprint, (*data.notices, *notices))


def load_own_test(place: Path, form: ImageForm) -> Images:
    """Reads the sealed test part at a path. Raises InputError if there is none or it is invalid."""
    data = open_own(place)
    part = test_part(data)
    if part is None:
        raise InputError(
            f"{place}: has no test part, so there is nothing sealed to measure on: a folder `test` "
            "beside `train`, test.rec, or x_test and y_test in an .npz file would be one"
        )
    form, _ = _settled(data, form)
    assert form.shape is not None
    return Images(part.pixels(form.shape), part.labels, _absent(data, part, "test"))


def _absent(data: OwnData, part: Part, name: str) -> tuple[str, ...]:
    present = set(part.labels.tolist())
    absent = [text for label, text in enumerate(data.classes) if label not in present]
    if not absent:
        return ()
    return (f"{data.place}: no image of class {listed(absent)} in the {name} part",)


def _settled(data: OwnData, form: ImageForm) -> tuple[ImageForm, tuple[str, ...]]:
    if form.shape is not None:
        return form, ()
    found = data.train.found()
    if data.validation is not None:
        found = found + data.validation.found()
    form, notices = decide(form, found)
    return form, tuple(f"{data.place}: {notice}" for notice in notices)


def _validation_size(data: OwnData) -> int:
    classes, images = len(data.classes), len(data.train.labels)
    return max(classes, min(images // PART_OF_VALIDATION, MOST_VALIDATION))


def _check_validation_size(data: OwnData, size: int | None) -> None:
    assert data.validation is not None
    own = len(data.validation.labels)
    if size not in (None, own):
        raise InputError(
            f"validation size {size}: {data.place} has a validation part of its own, of {own:,} "
            "images"
        )
