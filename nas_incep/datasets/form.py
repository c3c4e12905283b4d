"""The form that one's own images are brought into: their size and their channels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Optional

from ..errors import InputError
from .registry import is_own

LEAST_SIZE, MOST_SIZE = 4, 1024  # pixels of a side
USUAL_SIZE = 32  # unless all images have one size that is small
SMALL = 64  # pixels of a side up to which images keep their size


@dataclass(frozen=True)
class ImageForm:
    """How one's own images are prepared; what is None is decided by the images themselves.

    Raises InputError for a size or a number of channels that is not supported.
    """

    size: Optional[tuple[int, int]] = None  # height and width in pixels
    channels: Optional[int] = None  # 1: gray, 3: color
    flip: bool = False  # a mirrored image still shows its class

    def __post_init__(self) -> None:
        for side in self.size or ():
            if not LEAST_SIZE <= side <= MOST_SIZE:
                raise InputError(
                    f"--image-size {side}: {LEAST_SIZE} to {MOST_SIZE} pixels are expected"
                )
        if self.channels not in (None, 1, 3):
            raise InputError(f"--channels {self.channels}: 1 (gray) or 3 (color) is expected")

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """Channels, height and width, if nothing is left to decide."""
        return (self.channels, *self.size) if self.channels and self.size else None

    @classmethod
    def of(cls, shape: tuple[int, int, int], flip: bool = False) -> ImageForm:
        """The form of images of that shape: channels, height, width."""
        return cls((shape[1], shape[2]), shape[0], flip)


def check_form(name: str, form: ImageForm) -> None:
    """Raises InputError if a form is asked for, but `name` is a data set with one of its own."""
    if form != ImageForm() and not is_own(name):
        raise InputError(
            f"--image-size, --channels and --flip are for one's own data: {name} has a form of its "
            "own"
        )


def image_form(image_size: int | None, channels: int | None, flip: bool) -> ImageForm:
    """The form that a command's options ask for; `image_size` is that of both sides."""
    return ImageForm((image_size, image_size) if image_size else None, channels, flip)


@dataclass(frozen=True)
class Found:
    """What the images of a part are like before they are prepared."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)  # of (height, width)
    gray: int = 0
    color: int = 0

    def __add__(self, other: Found) -> Found:
        sizes = self.sizes + other.sizes
        return Found(sizes, self.gray + other.gray, self.color + other.color)


def decide(form: ImageForm, found: Found) -> tuple[ImageForm, tuple[str, ...]]:
    """The form with nothing left to decide, and what to tell the user about it."""
    size, channels, notices = form.size, form.channels, []
    if size is None:
        sizes = sorted(found.sizes, key=lambda size: (size[0] * size[1], size))
        size = (USUAL_SIZE, USUAL_SIZE)
        if len(sizes) == 1 and all(LEAST_SIZE <= side <= SMALL for side in sizes[0]):
            size = sizes[0]
        elif len(sizes) > 1:
            notices.append(
                f"images of {len(sizes):,} sizes, from {_text(sizes[0])} to {_text(sizes[-1])} "
                f"pixels, are resized to {_text(size)} (--image-size)"
            )
        elif sizes and sizes[0] != size:
            notices.append(
                f"images of {_text(sizes[0])} pixels are resized to {_text(size)} (--image-size)"
            )
    if channels is None:
        channels = 3 if found.color or not found.gray else 1
        if found.gray and found.color:
            notices.append(
                f"gray images ({found.gray:,}) among color images ({found.color:,}) are read as "
                "color images (--channels)"
            )
    return ImageForm(size, channels, form.flip), tuple(notices)


def _text(size: tuple[int, int]) -> str:
    height, width = size
    return f"{width}x{height}"
