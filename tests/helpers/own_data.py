"""Small data sets of one's own: colored shapes as image files, as arrays and as records."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from helpers.dataset_files import sentence
from nas_incep.errors import InputError

SHAPES = ("circle", "square", "triangle")


def draw(shape: str, seed: int, size: tuple[int, int] = (32, 32), mode: str = "RGB") -> Image.Image:
    """A shape somewhere in an image of size (width, height), in random colors."""
    rng = np.random.default_rng([seed, SHAPES.index(shape)])
    back, front = (tuple(map(int, rng.integers(*limits, size=3))) for limits in ((90,), (160, 255)))
    image = Image.new("RGB", size, back)
    side = min(size) // 2
    left, top = (int(rng.integers(0, length - side)) for length in size)
    box = (left, top, left + side, top + side)
    pen = ImageDraw.Draw(image)
    if shape == "circle":
        pen.ellipse(box, fill=front)
    elif shape == "square":
        pen.rectangle(box, fill=front)
    else:
        pen.polygon([(left, top + side), (left + side, top + side), (left + side // 2, top)], front)
    return image.convert(mode)


def write_folder(root: Path, each: int = 20, seed: int = 0, **options: Any) -> Path:
    """A folder for each shape with `each` PNG files."""
    for shape in SHAPES:
        (root / shape).mkdir(parents=True)
        for index in range(each):
            draw(shape, seed + index, **options).save(root / shape / f"{index:03d}.png")
    return root


def arrays(each: int = 20, seed: int = 0, mode: str = "RGB") -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 32, 32[, 3]) and labels (n,), class by class."""
    images = [draw(shape, seed + i, mode=mode) for shape in SHAPES for i in range(each)]
    return np.stack([np.asarray(i) for i in images]), np.repeat(np.arange(len(SHAPES)), each)


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def record(label: float, content: bytes, labels: Sequence[float] | None = None) -> bytes:
    """The bytes of a record before it is framed, as MXNet's `pack` makes them."""
    more = struct.pack(f"<{len(labels or ())}f", *(labels or ()))
    return struct.pack("<IfQQ", len(labels or ()), label, 0, 0) + more + content


def framed(payload: bytes, kind: int = 0) -> bytes:
    """A record or a piece of one as it lies in a .rec file."""
    start = struct.pack("<II", 0xCED7230A, kind << 29 | len(payload))
    return start + payload + bytes(-len(payload) % 4)


def write_records(path: Path, each: int = 20, seed: int = 0) -> Path:
    """A .rec file with `each` PNG images of each shape."""
    path.parent.mkdir(parents=True, exist_ok=True)
    payloads = [
        record(label, png(draw(shape, seed + index)))
        for label, shape in enumerate(SHAPES)
        for index in range(each)
    ]
    path.write_bytes(b"".join(map(framed, payloads)))
    return path


def write_npz(path: Path, **more: np.ndarray) -> Path:
    """An .npz file with the shapes to train on, or with other arrays."""
    x, y = arrays()
    np.savez(path, **{"x_train": x, "y_train": y, **more})
    return path


def refusal(work: Callable[[], object]) -> str:
    """The one sentence with which something is refused."""
    with pytest.raises(InputError) as error:
        work()
    return sentence(error)
