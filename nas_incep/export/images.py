"""Images of users, as files or arrays, turned into the pixels that a network takes.

Files are decoded as those of a data set are (`datasets.pictures`), so a network sees an image as it
saw those that it was trained on.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np

from .._text import plain
from ..datasets import pictures
from ..datasets.folders import read_file
from ..datasets.pictures import SUFFIXES, Unreadable
from ..errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

    AnyImage = Union[str, "os.PathLike[str]", np.ndarray, Image]

_ARRAY_CHANNELS = (1, 3, 4)


def check_channels(shape: tuple[int, ...], source: str) -> None:
    """Raises InputError, naming `source`, unless such images are gray or in color."""
    if shape[0] not in (1, 3):
        raise InputError(
            f"{source}: its network takes images of {shape[0]} channels; only gray ones (1) and "
            "color ones (3) can be predicted"
        )


def pixels_of(image: AnyImage, shape: tuple[int, int, int]) -> np.ndarray:
    """An image as `shape` (channels, height, width) uint8.

    `image` is a file's path, an array `(height, width)` or `(height, width, channels)` uint8, or a
    Pillow image. It is turned as its camera says, put on white where it is transparent, made gray
    or colored as the network takes it, and stretched to its size. Raises InputError, which names
    the file.
    """
    from PIL import Image

    name = _name(image)
    try:
        if isinstance(image, np.ndarray):
            return pictures.prepared(Image.fromarray(_checked(image)), shape)
        with pictures.quiet():
            if isinstance(image, Image.Image):
                return pictures.prepared(pictures.upright(_decoded(image)), shape)
            return pictures.decode(read_file(Path(name)), shape)
    except Unreadable as reason:
        raise InputError(f"{name}: cannot be read as an image: {plain(reason, 200)}") from None


def files_of(paths: tuple[Path, ...]) -> list[Path]:
    """The given files, and the images in the given folders by name, without their subfolders.

    Raises InputError if a folder has none.
    """
    found: list[Path] = []
    for path in paths:
        if not os.path.isdir(path):
            found.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not inside:
            raise InputError(f"{path}: has no image ({', '.join(SUFFIXES)})")
        found += inside
    return found


def _name(image: AnyImage) -> str:
    """What messages call an image. Raises InputError if it is something else."""
    from PIL import Image

    if isinstance(image, Image.Image):
        return "the image"
    if isinstance(image, np.ndarray):
        return "the array"
    if not isinstance(image, (str, os.PathLike)):
        raise InputError(
            f"an image is of the type {type(image).__name__}: a path, an array or a Pillow image "
            "is expected"
        )
    return os.fspath(image)


def _decoded(image: Image) -> Image:
    """A Pillow image whose pixels are read, which it may have put off; raises Unreadable."""
    try:
        image.load()
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        raise Unreadable(str(error)) from None
    return image


def _checked(array: np.ndarray) -> np.ndarray:
    """An array that Pillow takes. Raises InputError for another type or shape."""
    if array.dtype != np.uint8:
        raise InputError(f"the array is of {array.dtype}: uint8 pixels from 0 to 255 are expected")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _ARRAY_CHANNELS)
    if not shaped or not array.size:
        raise InputError(
            f"the array has the shape {array.shape}: (height, width) or (height, width, channels) "
            f"with {', '.join(map(str, _ARRAY_CHANNELS))} channels is expected"
        )
    return np.ascontiguousarray(array)
