"""Images of users, as files or arrays, turned into the pixels that a network takes."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np

from .._text import plain
from ..errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

    AnyImage = Union[str, "os.PathLike[str]", np.ndarray, Image]

# What is read; Pillow knows more formats, and hands some of them (EPS) to other programs.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000")
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".jp2"),
)
# Bounds the memory, also of a small file that unpacks to a large image.
MAX_PIXELS = 64_000_000
MAX_BYTES = 256 << 20
_MODES = {1: "L", 3: "RGB"}
_ARRAY_CHANNELS = (1, 3, 4)


def check_channels(shape: tuple[int, ...], source: str) -> None:
    """Raises InputError, naming `source`, unless such images are gray or in color."""
    if shape[0] not in _MODES:
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
    channels, height, width = shape
    source, name = _opened(image, 2 * max(height, width))
    try:
        flat = _flat(source, name).convert(_MODES[channels])
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        raise InputError(f"{name}: cannot be read as an image: {_reason(error)}") from None
    if flat.size != (width, height):
        from PIL.Image import Resampling

        flat = flat.resize((width, height), Resampling.BILINEAR)
    return np.asarray(flat, np.uint8).reshape(height, width, channels).transpose(2, 0, 1)


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


def _opened(image: AnyImage, least: int) -> tuple[Image, str]:
    """The Pillow image, not yet decoded if it is a file, and its name in messages.

    A large JPEG will be decoded to a half, a quarter or an eighth, but not below `least` pixels of
    a side, which is much faster.
    """
    from PIL import Image

    if isinstance(image, Image.Image):
        return image, "the image"
    if isinstance(image, np.ndarray):
        return Image.fromarray(_checked(image)), "the array"
    if not isinstance(image, (str, os.PathLike)):
        raise InputError(
            f"an image is of the type {type(image).__name__}: a path, an array or a Pillow image "
            "is expected"
        )
    name = os.fspath(image)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is checked later
            opened = Image.open(io.BytesIO(_content(name)), formats=FORMATS)
        if opened.width * opened.height > MAX_PIXELS:
            raise InputError(
                f"{name}: has {opened.width} x {opened.height} pixels, at most {MAX_PIXELS:,} are "
                "read"
            )
        opened.draft(None, (least, least))
        return opened, name
    except InputError:
        raise
    except Exception as error:
        if "cannot identify" in str(error):
            known = ", ".join(FORMATS)
            raise InputError(f"{name}: not an image ({known} are read)") from None
        raise InputError(f"{name}: cannot be read as an image: {_reason(error)}") from None


def _content(name: str) -> bytes:
    """The bytes of a file. Raises InputError if it cannot be read or is too large."""
    try:
        with open(name, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{name}: no such image") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name!r}: cannot be read: {_reason(error)}") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: is larger than the {MAX_BYTES >> 20} MB that are expected")
    return data


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


def _flat(image: Image, name: str) -> Image:
    """The image upright, of 8 bits for each channel and without transparency."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise InputError(f"{name}: its pixels are fractions; 8 or 16 bits are expected")
    if image.mode.startswith("I"):  # of 16 bits
        return Image.fromarray((np.asarray(image).clip(0, 0xFFFF) >> 8).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        colored = image.convert("RGBA")
        white = Image.new("RGBA", colored.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, colored)
    return image


def _reason(error: Exception) -> str:
    lines = str(getattr(error, "strerror", None) or error).splitlines()
    return plain(lines[0] if lines else type(error).__name__, limit=200)
