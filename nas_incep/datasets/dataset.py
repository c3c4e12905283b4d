"""Data sets: the training part, split into train and validation, and the sealed test part.

A search uses only `load`, which never opens a test file; only `load_test` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .contents import contents_sha1
from .files import read_files, users_folder
from .form import ImageForm
from .formats import Images, parse
from .layouts import open_own, test_part
from .own import OwnDataset, load_own, load_own_test
from .registry import (
    DIGITS,
    OFFICIAL_FILES,
    SUPERSEDED_SHA1,
    DatasetInfo,
    canonical_dataset,
    dataset_info,
    is_own,
)
from .splits import split_fingerprint, split_indices


@dataclass(frozen=True, eq=False)
class Dataset:
    """The training part of a data set, split into train and validation.

    `fingerprint` is of all images and labels and of the split. `mean` and `std` are those of each
    channel over the train images, in units of pixel / 255. `official` is whether the files are the
    published ones, None where there are none.
    """

    info: DatasetInfo
    train: Images
    validation: Images
    fingerprint: str  # of all images and labels and of the split
    official: bool | None  # the files are the published ones; None: there are none
    mean: tuple[float, ...]  # per channel over the train images, in units of pixel / 255
    std: tuple[float, ...]
    notices: tuple[str, ...]


_DIGITS = Path(__file__).with_name("digits.npz")
_DIGITS_TEST_SIZE = 297  # leaves 1,500 for the search
_DIGITS_TEST_SEED = 0
_TEST_SIZE = 10_000  # of CIFAR and Fashion-MNIST


def load(
    name: str,
    data_dir: Path | None = None,
    validation_size: int | None = None,
    split_seed: int = 0,
    form: ImageForm | None = None,
) -> Dataset:
    """Read the training part of a data set and split it into train and validation.

    `name` may be the path of one's own data, which are brought into a `form`; `data_dir` is then
    where they lie on this machine, if that is elsewhere.

    Never opens a test file. The same files, size and seed give the same split on any machine.
    Raises InputError if files are missing or invalid, or do not allow such a split.
    """
    name = canonical_dataset(name)
    if is_own(name):
        place = _own_place(name, data_dir)
        return _of_own(load_own(place, validation_size, split_seed, form or ImageForm()))
    info = dataset_info(name)
    if info is DIGITS:
        part, official = _digits(sealed=False), None
    else:
        part, official = _read_part(info, data_dir, info.train_files)
    size = info.validation_size if validation_size is None else validation_size
    train_idx, val_idx = split_indices(part.labels, size, split_seed)
    train = Images(part.images[train_idx], part.labels[train_idx])
    validation = Images(part.images[val_idx], part.labels[val_idx])
    mean, std = channel_statistics(train.images)
    return Dataset(
        info=info,
        train=train,
        validation=validation,
        fingerprint=split_fingerprint(info.name, part, val_idx),
        official=official,
        mean=mean,
        std=std,
        notices=part.notices,
    )


def load_test(name: str, data_dir: Path | None = None, form: ImageForm | None = None) -> Images:
    """Read the sealed test part, for the final measurement after a search, never before.

    The arguments are those of `load`. Raises InputError if files are missing or invalid, or one's
    own data have no test part.
    """
    name = canonical_dataset(name)
    if is_own(name):
        return load_own_test(_own_place(name, data_dir), form or ImageForm())
    info = dataset_info(name)
    if info is DIGITS:
        return _digits(sealed=True)
    return _read_part(info, data_dir, info.test_files)[0]


def count_test(name: str, data_dir: Path | None = None) -> int | None:
    """The number of images in the sealed test part; None if there is none.

    Of one's own data only the labels are read, of others nothing. Raises InputError as `load_test`.
    """
    name = canonical_dataset(name)
    if is_own(name):
        part = test_part(open_own(_own_place(name, data_dir)))
        return None if part is None else len(part.labels)
    return _DIGITS_TEST_SIZE if dataset_info(name) is DIGITS else _TEST_SIZE


def _own_place(name: str, data_dir: Path | None) -> Path:
    return Path(name) if data_dir is None else users_folder(data_dir).absolute()


def _of_own(own: OwnDataset) -> Dataset:
    mean, std = channel_statistics(own.train.images)
    return Dataset(
        info=own.info,
        train=own.train,
        validation=own.validation,
        fingerprint=own.fingerprint,
        official=None,
        mean=mean,
        std=std,
        notices=own.notices,
    )


def _read_part(
    info: DatasetInfo, data_dir: Path | None, names: tuple[str, ...]
) -> tuple[Images, bool]:
    """Read the named files into one part; also return whether they are the official ones."""
    contents = read_files(info, data_dir, names)
    images, labels = parse(info, contents)
    place = next(iter(contents)).parent
    sums = [contents_sha1(content) for content in contents.values()]
    notices = _sum_notices(info, place, dict(zip(names, sums)))
    official = not notices
    absent = sorted(set(range(len(info.classes))) - set(labels.tolist()))
    if absent:
        listed = ", ".join(info.classes[label] for label in absent)
        notices += (f"{place}: {', '.join(names)}: no image of class {listed}",)
    return Images(images, labels, notices), official


def _sum_notices(info: DatasetInfo, place: Path, sums: dict[str, str]) -> tuple[str, ...]:
    """Notices about files with these SHA-1 sums; none if they are the official ones."""
    differing = [name for name, found in sums.items() if found != OFFICIAL_FILES[name].sha1]
    if not differing:
        return ()
    if SUPERSEDED_SHA1.intersection(sums.values()):
        return (
            f"{place}: {', '.join(differing)} belong to {info.title}'s first edition, which its "
            "authors replaced in August 2017 because of duplicate images: results are not "
            "comparable with published ones",
        )
    return (
        f"{place}: {', '.join(differing)} {'differs' if len(differing) == 1 else 'differ'} from "
        f"the official files of {info.title}: results are not comparable with published ones",
    )


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of (n, c, h, w) uint8, in units of pixel / 255."""
    means, stds = [], []
    for channel in range(images.shape[1]):
        pixels = images[:, channel]
        # Integer sums are exact, so every machine computes the same normalization.
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

    They ship with the package (docs/data.md). Pixels from 0 to 16 are scaled to 0 to 255.
    """
    with np.load(_DIGITS) as file:
        pixels, labels = file["pixels"], file["labels"].astype(np.int32)
    scaled = np.rint(pixels * (255 / 16)).astype(np.uint8)[:, np.newaxis]
    search_idx, test_idx = split_indices(labels, _DIGITS_TEST_SIZE, _DIGITS_TEST_SEED)
    indices = test_idx if sealed else search_idx
    return Images(scaled[indices], labels[indices])
