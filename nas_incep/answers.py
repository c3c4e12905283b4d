"""Which validation images a network gets right, one bit an image, as a record keeps it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._formats import Positive
from .errors import InputError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Answers:
    """One bit for each of `images` images, in their order: 1 where the network was right.

    `bits` is base64 of the bits, eight to a byte, the first image in the highest bit; those that
    fill up the last byte are 0. Raises InputError if it is anything else.
    """

    images: Positive
    bits: str

    def __post_init__(self) -> None:
        try:
            packed = base64.b64decode(self.bits, validate=True)
        except (binascii.Error, ValueError):
            raise InputError(f"bits is {self.bits[:40]!r}: base64 is expected") from None
        length = (self.images + 7) // 8
        if len(packed) != length:
            raise InputError(
                f"bits has {len(packed)} bytes: {length} are expected for {self.images} images"
            )
        if int.from_bytes(packed, "big") % (1 << (8 * length - self.images)):
            raise InputError(f"bits has more than {self.images} images")

    @classmethod
    def of(cls, right: np.ndarray) -> Answers:
        """The answers that a bool array `(images,)` holds."""
        import numpy as np

        return cls(len(right), base64.b64encode(np.packbits(right).tobytes()).decode("ascii"))

    @property
    def correct(self) -> int:
        """How many images the network gets right."""
        return bin(int.from_bytes(base64.b64decode(self.bits), "big")).count("1")

    def to_array(self) -> np.ndarray:
        """A bool array `(images,)`."""
        import numpy as np

        packed = np.frombuffer(base64.b64decode(self.bits), np.uint8)
        return np.unpackbits(packed, count=self.images).astype(bool)
