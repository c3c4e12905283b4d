"""Data sets: the training part, cut into train and validation, and the sealed test part.

The search sees what `load` returns, which never opens a test file. `load_test` alone does.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import InputError


@dataclass(frozen=True, eq=False)
class Images:
    """Images with labels: one part of a data set."""

    images: np.ndarray  # (n, channels, height, width) uint8
    labels: np.ndarray  # (n,) int32
    notices: tuple[str, ...] = ()  # what the user should know of the files they came from


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set without reading it."""

    name: str
    title: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]  # channels, height, width
    flip: bool  # a mirrored image still shows its class
    crop_padding: int  # pixels on each side before a random crop
    validation_size: int  # unless the user gives another
    train_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    mxnet_folder: str = ""  # below MXNet's folder of data sets
    subfolders: tuple[str, ...] = ()  # of the user's folder
    archive_folder: str = ""  # what the official archive unpacks into
    system_folder: str = ""  # where a distribution's package puts the files


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


_CIFAR10_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100_CLASSES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
    crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
    keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse
    mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy
    porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper
    snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television
    tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"""
_FASHION_CLASSES = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"

_CIFAR10 = DatasetInfo(
    name="cifar10",
    title="CIFAR-10",
    classes=tuple(_CIFAR10_CLASSES.split()),
    image_shape=(3, 32, 32),
    flip=True,
    crop_padding=4,
    validation_size=5000,
    train_files=tuple(f"data_batch_{batch}.bin" for batch in range(1, 6)),
    test_files=("test_batch.bin",),
    mxnet_folder="cifar10",
    subfolders=("cifar10",),
    archive_folder="cifar-10-batches-bin",
)
_CIFAR100 = DatasetInfo(
    name="cifar100",
    title="CIFAR-100",
    classes=tuple(_CIFAR100_CLASSES.split()),
    image_shape=(3, 32, 32),
    flip=True,
    crop_padding=4,
    validation_size=5000,
    train_files=("train.bin",),
    test_files=("test.bin",),
    mxnet_folder="cifar100",
    subfolders=("cifar100",),
    archive_folder="cifar-100-binary",
)
_FASHION_MNIST = DatasetInfo(
    name="fashion_mnist",
    title="Fashion-MNIST",
    classes=tuple(_FASHION_CLASSES.split(",")),
    image_shape=(1, 28, 28),
    flip=True,
    crop_padding=2,
    validation_size=6000,
    train_files=("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    test_files=("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
    mxnet_folder="fashion-mnist",
    subfolders=("fashion-mnist", "fashion_mnist"),
    system_folder="/usr/share/datasets/fashion-mnist",  # Debian's dataset-fashion-mnist
)
_DIGITS = DatasetInfo(
    name="digits",
    title="scikit-learn's digits",
    classes=tuple("0123456789"),
    image_shape=(1, 8, 8),
    flip=False,
    crop_padding=1,
    validation_size=300,
)
DATASETS: dict[str, DatasetInfo] = {
    info.name: info for info in (_CIFAR10, _CIFAR100, _FASHION_MNIST, _DIGITS)
}

# SHA-1 sums of the official files; of a .gz file its contents count, for the same images are
# about in several compressions.
OFFICIAL_SHA1: dict[str, str] = {
    "data_batch_1.bin": "aadd24acce27caa71bf4b10992e9e7b2d74c2540",
    "data_batch_2.bin": "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795",
    "data_batch_3.bin": "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
    "data_batch_4.bin": "aab85764eb3584312d3c7f65fd2fd016e36a258e",
    "data_batch_5.bin": "26e2849e66a845b7f1e4614ae70f4889ae604628",
    "test_batch.bin": "67eb016db431130d61cd03c7ad570b013799c88c",
    "train.bin": "e207cd2e05b73b1393c74c7f5e7bea451d63e08e",
    "test.bin": "8fb6623e830365ff53cf14adec797474f5478006",
    "train-images-idx3-ubyte.gz": "b9bd999c0106c9b8b4b0cefce58c9a6060f27095",
    "train-labels-idx1-ubyte.gz": "4bccf37222e01638381eaa326bf730337a597267",
    "t10k-images-idx3-ubyte.gz": "880056926db704f9f713097915f99da346f5b1d1",
    "t10k-labels-idx1-ubyte.gz": "958122e8b4b97fd4e71eca2d08ef754ed77c3ad9",
}
# The labels of Fashion-MNIST's edition of 26 August 2017, which its authors replaced five days
# later because of duplicate images. The sums in MXNet's own FashionMNIST class are still its sums.
_SUPERSEDED_SHA1 = {
    "0677564e982f3de9629de6710f5670fdbd93c2c4",
    "84994c52fd3f9bbd8823915c557e16158e50cbb1",
}

_DIGITS_TEST_SIZE = 297  # leaves 1,500 for the search
_DIGITS_TEST_SEED = 0


def dataset_info(name: str) -> DatasetInfo:
    """Raises InputError, listing the known data sets, where `name` is none of them."""
    if name not in DATASETS:
        raise InputError(f"data set {name!r} is not known: choose one of {', '.join(DATASETS)}")
    return DATASETS[name]


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
    if info is _DIGITS:
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
        fingerprint=_split_fingerprint(name, part, val_idx),
        official=official,
        mean=mean,
        std=std,
        notices=part.notices,
    )


def load_test(name: str, data_dir: Path | None = None) -> Images:
    """Reads the sealed test part: for the final measurement of a finished search, never before."""
    info = dataset_info(name)
    if info is _DIGITS:
        return _digits(sealed=True)
    return _read_part(info, data_dir, info.test_files)[0]


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
        # Sums of whole numbers are exact, so every machine finds the same normalisation.
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


def _read_part(
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
    images, labels = (_parse_idx_pair if info is _FASHION_MNIST else _parse_cifar)(info, contents)
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
    if _SUPERSEDED_SHA1.intersection(sums.values()):
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
    label_bytes = 2 if info is _CIFAR100 else 1  # CIFAR-100: superclass, then class
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
