"""How users name a baseline: `NAME` or `NAME@SIZE`."""

from __future__ import annotations

import re

from ..errors import InputError

INCEPTION3 = "inceptionv3"
# With global pooling at its end, Inception3's poolings and strides still need 75 pixels.
INCEPTION3_STOCK, INCEPTION3_LEAST = 299, 75


def parse_baseline(spec: str) -> tuple[str, int | None]:
    """The name and the image size in pixels of `NAME` or `NAME@SIZE`. Raises InputError.

    Without a size, `inception3` uses its stock size; for other names the size is None, and the
    images are not resized. Whether a zoo has a network of that name is not checked.
    """
    match = re.fullmatch(r"([a-z0-9_.]+)(?:@([1-9][0-9]{0,3}))?", spec.lower())
    if not match:
        raise InputError(f"baseline {spec!r}: NAME or NAME@SIZE is expected, as in inception3@75")
    name, size = match[1], int(match[2]) if match[2] else None
    if name not in ("inception3", INCEPTION3):
        return name, size
    size = size or INCEPTION3_STOCK
    if size < INCEPTION3_LEAST:
        raise InputError(f"baseline {spec}: Inception3 needs images of at least 75 pixels")
    return INCEPTION3, size
