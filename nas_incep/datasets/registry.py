"""The supported data sets, and what is known about them without reading files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set without reading its files.

    `image_shape` is (channels, height, width). `flip` is whether a mirrored image still shows its
    class, `crop_padding` the pixels that are added on each side before a random crop.
    """

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
    archive: str = ""  # the official one, if all files come in one
    archive_folder: str = ""  # what it unpacks into
    pickles: tuple[str, ...] = ()  # the pickled version for Python, which is never opened
    system_folder: str = ""  # where a distribution's package puts the files


@dataclass(frozen=True)
class OfficialFile:
    """A published file. Its size is also a limit: a larger file with its name is not read."""

    size: int  # bytes of the contents
    sha1: str  # of the contents


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

CIFAR10 = DatasetInfo(
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
    archive="cifar-10-binary.tar.gz",
    archive_folder="cifar-10-batches-bin",
    pickles=("cifar-10-batches-py", "cifar-10-python.tar.gz"),
)
CIFAR100 = DatasetInfo(
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
    archive="cifar-100-binary.tar.gz",
    archive_folder="cifar-100-binary",
    pickles=("cifar-100-python", "cifar-100-python.tar.gz"),
)
FASHION_MNIST = DatasetInfo(
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
    subfolders=("fashion-mnist", "fashion_mnist", "FashionMNIST/raw"),  # the last is torchvision's
    system_folder="/usr/share/datasets/fashion-mnist",  # Debian's dataset-fashion-mnist
)
DIGITS = DatasetInfo(
    name="digits",
    title="scikit-learn's digits",
    classes=tuple("0123456789"),
    image_shape=(1, 8, 8),
    flip=False,
    crop_padding=1,
    validation_size=300,
)
DATASETS: dict[str, DatasetInfo] = {
    info.name: info for info in (CIFAR10, CIFAR100, FASHION_MNIST, DIGITS)
}

# For .gz files, of the contents: the same images are in circulation with different compression.
OFFICIAL_FILES: dict[str, OfficialFile] = {
    "data_batch_1.bin": OfficialFile(30_730_000, "aadd24acce27caa71bf4b10992e9e7b2d74c2540"),
    "data_batch_2.bin": OfficialFile(30_730_000, "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795"),
    "data_batch_3.bin": OfficialFile(30_730_000, "1dd00a74ab1d17a6e7d73e185b69dbf31242f295"),
    "data_batch_4.bin": OfficialFile(30_730_000, "aab85764eb3584312d3c7f65fd2fd016e36a258e"),
    "data_batch_5.bin": OfficialFile(30_730_000, "26e2849e66a845b7f1e4614ae70f4889ae604628"),
    "test_batch.bin": OfficialFile(30_730_000, "67eb016db431130d61cd03c7ad570b013799c88c"),
    "train.bin": OfficialFile(153_700_000, "e207cd2e05b73b1393c74c7f5e7bea451d63e08e"),
    "test.bin": OfficialFile(30_740_000, "8fb6623e830365ff53cf14adec797474f5478006"),
    "train-images-idx3-ubyte.gz": OfficialFile(
        47_040_016, "b9bd999c0106c9b8b4b0cefce58c9a6060f27095"
    ),
    "train-labels-idx1-ubyte.gz": OfficialFile(60_008, "4bccf37222e01638381eaa326bf730337a597267"),
    "t10k-images-idx3-ubyte.gz": OfficialFile(
        7_840_016, "880056926db704f9f713097915f99da346f5b1d1"
    ),
    "t10k-labels-idx1-ubyte.gz": OfficialFile(10_008, "958122e8b4b97fd4e71eca2d08ef754ed77c3ad9"),
}
# The labels of Fashion-MNIST's edition of 26 August 2017, which its authors replaced five days
# later because of duplicate images. The sums in MXNet's own FashionMNIST class are still its sums.
SUPERSEDED_SHA1 = {
    "0677564e982f3de9629de6710f5670fdbd93c2c4",
    "84994c52fd3f9bbd8823915c557e16158e50cbb1",
}

OWN_SUFFIXES = (".npz", ".rec")  # of files with one's own data


def dataset_info(name: str) -> DatasetInfo:
    """Find a data set by its name, in any usual spelling: `CIFAR-10` is `cifar10`.

    Raises InputError, listing the known data sets, if `name` is not one of them.
    """
    info = _find(name)
    if info is None:
        raise InputError(
            f"data set {name!r} is not known: choose one of {', '.join(DATASETS)}, or name a "
            "folder with a folder of images for each class, an .npz file or a .rec file"
        )
    return info


def canonical_dataset(name: str) -> str:
    """The one name of a data set, or the absolute path of one's own data, which may be missing.

    Raises InputError if `name` is neither a known data set nor looks like a path.
    """
    info = _find(name)
    if info is not None:
        return info.name
    is_path = os.sep in name or name.endswith(OWN_SUFFIXES) or os.path.exists(name)
    if not is_path and name not in (".", "..", "~"):
        return dataset_info(name).name  # raises InputError
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"data set {name!r}: the path is no Unicode") from None
    if "\0" in name:
        raise InputError(f"data set {name!r}: a path without null bytes is expected")
    return os.path.abspath(os.path.expanduser(name))


def is_own(name: str) -> bool:
    """Whether a canonical name is the path of one's own data."""
    return os.path.isabs(name)


def _find(name: str) -> DatasetInfo | None:
    return next((i for i in DATASETS.values() if _plain(i.name) == _plain(name)), None)


def _plain(name: str) -> str:
    return re.sub("[-_ ]", "", name.lower())
