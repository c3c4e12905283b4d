"""Small files in the official layouts of the data sets, and archives of them."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from nas_incep.datasets import Images
from nas_incep.errors import InputError

BATCHES = [f"data_batch_{batch}.bin" for batch in range(1, 6)]


def random_images(count: int, classes: int, shape: tuple[int, ...], seed: int = 0) -> Images:
    """Random pixels; the labels go round the classes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)
    return Images(pixels, np.arange(count, dtype=np.int32) % classes)


def cifar_bytes(part: Images, superclass: bool = False) -> bytes:
    columns = [part.labels.astype(np.uint8)[:, None], part.images.reshape(len(part.labels), -1)]
    if superclass:
        columns.insert(0, np.full((len(part.labels), 1), 19, np.uint8))
    return np.concatenate(columns, axis=1).tobytes()


def write_cifar10(folder: Path, records_per_batch: int = 20) -> Images:
    """Writes five batches and no test file. Returns the images in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = random_images(5 * records_per_batch, 10, (3, 32, 32))
    for batch, name in enumerate(BATCHES):
        cut = slice(batch * records_per_batch, (batch + 1) * records_per_batch)
        part = Images(whole.images[cut], whole.labels[cut])
        (folder / name).write_bytes(cifar_bytes(part))
    return whole


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def write_fashion(folder: Path, prefix: str, count: int = 40, packed: bool = True) -> Images:
    folder.mkdir(parents=True, exist_ok=True)
    part = random_images(count, 10, (1, 28, 28))
    for name, array in [
        (f"{prefix}-images-idx3-ubyte", part.images[:, 0]),
        (f"{prefix}-labels-idx1-ubyte", part.labels.astype(np.uint8)),
    ]:
        content = idx_bytes(array)
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
    return part


def tar_bytes(files: dict[str, bytes], folder: str = "cifar-10-batches-bin/") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(folder + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def sentence(error: pytest.ExceptionInfo[InputError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text
