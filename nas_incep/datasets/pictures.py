"""Images as files hold them (JPEG, PNG, ...), decoded and resized by Pillow."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
MAX_BYTES = 1 << 28  # of a file with one image
MAX_PIXELS = 64_000_000  # of an image: 256 MB while it is decoded
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_GRAY = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION = 0x0112  # EXIF's tag: how the camera was held


class Unreadable(Exception):
    """An image that cannot be read; the message says why in a few words."""


def look(data: bytes) -> tuple[tuple[int, int], bool]:
    """Height and width of an image, and whether it is gray; the pixels are not decoded.

    Raises Unreadable.
    """
    with _opened(data) as image:
        width, height = image.size
        upright = _orientation(image) < 5
        return (height, width) if upright else (width, height), image.mode in _GRAY


def decode(data: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """An image as uint8 of the shape (channels, height, width); raises Unreadable.

    It is turned upright as its EXIF data say, and what is transparent becomes white.
    """
    side = 2 * max(shape[1:])
    with _opened(data) as image:
        # A large JPEG is decoded to a half, a quarter or an eighth, which is much faster.
        image.draft(None, (side, side))
        turned = upright(image)
        return prepared(turned, shape)


def prepared(image: Image, shape: tuple[int, int, int]) -> np.ndarray:
    """An image resized to uint8 of the shape (channels, height, width); raises Unreadable."""
    from PIL.Image import Resampling

    channels, height, width = shape
    image = _converted(image, channels)
    if image.size != (width, height):
        image = image.resize((width, height), Resampling.BILINEAR)
    pixels = np.asarray(image).reshape(height, width, channels)
    return pixels.transpose(2, 0, 1)


@contextmanager
def quiet() -> Iterator[None]:
    """Silences Pillow's warnings about oddities of files, and lets it refuse those that are cut.

    Importing GluonCV makes Pillow fill up cut files with gray. It is not for use in threads.
    """
    from PIL import ImageFile

    tolerant = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = tolerant


@contextmanager
def _opened(data: bytes) -> Iterator[Image]:
    from PIL import Image as images
    from PIL import UnidentifiedImageError

    try:
        with images.open(io.BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise Unreadable(
                    f"{width} x {height} pixels, at most {MAX_PIXELS // 10**6} million are read"
                )
            yield image
    except Unreadable:
        raise
    except images.DecompressionBombError:
        raise Unreadable(
            f"more than the {MAX_PIXELS // 10**6} million pixels that are read"
        ) from None
    except UnidentifiedImageError:
        raise Unreadable("not an image of a known format") from None
    except MemoryError:
        raise Unreadable("too little memory to decode it") from None
    except Exception as error:  # in damaged files Pillow's decoders fail in any way
        raise Unreadable(str(error).rstrip(".") or type(error).__name__) from None


def _orientation(image: Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF data do not make an image unreadable
        return 1


def upright(image: Image) -> Image:
    """The image as the camera was held, as its EXIF data say."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _converted(image: Image, channels: int) -> Image:
    """The image in 8 bits, gray or in color."""
    from PIL import Image as images

    if image.mode == "F":
        raise Unreadable("its pixels are floating-point numbers")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise Unreadable("its pixels have more than 16 bits")
        # Pillow itself would cut all values above 255.
        image = images.fromarray((values >> 8).astype(np.uint8))
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = images.alpha_composite(images.new("RGBA", image.size, (255, 255, 255, 255)), image)
    return image.convert("L" if channels == 1 else "RGB")
