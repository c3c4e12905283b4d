"""Arrays and data sets of Python objects, written to a file that searches open."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Union

import numpy as np

from .._files import naming
from ..errors import InputError
from .layouts import OwnData, open_own, test_part

# Two arrays, or anything with a length whose items are pairs of an image and a label.
Pairs = Union[tuple[Any, Any], Sequence[tuple[Any, Any]]]


def write_arrays(
    path: str | Path,
    train: Pairs,
    validation: Pairs | None = None,
    test: Pairs | None = None,
    classes: Sequence[str] | None = None,
) -> Path:
    """Writes data to the .npz file `path`, which `--dataset` and `load` then take; its path.

    Workers are other processes, so they cannot be given objects. Each part is a pair of arrays,
    images `(n, height, width[, channels])` uint8 and labels `(n,)`, or a data set of Gluon or
    torchvision without transforms: one whose items are pairs of an image and a label. Without a
    validation part, one is split off when the file is read.

    Raises InputError if images or labels are invalid; an existing file is then kept.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise InputError(f"{path}: a name that ends in .npz is expected")
    arrays: dict[str, np.ndarray] = {}
    for name, part in (("train", train), ("val", validation), ("test", test)):
        if part is not None:
            arrays[f"x_{name}"], arrays[f"y_{name}"] = _arrays(name, part)
    if classes is not None:
        arrays["classes"] = np.array(list(classes), str)
    with naming(path), tempfile.TemporaryDirectory(prefix=".arrays-", dir=path.parent) as folder:
        new = Path(folder) / path.name
        np.savez(new, **arrays)
        try:
            _check(open_own(new))
        except InputError as error:
            raise InputError(str(error).replace(str(new), str(path))) from None
        os.replace(new, path)
    return path


def _check(data: OwnData) -> None:
    """Raises InputError if searches would refuse the arrays."""
    for part in (data.train, data.validation, test_part(data)):
        if part is not None:
            part.digest()


def _arrays(name: str, part: Pairs) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(part, tuple) and len(part) == 2 and hasattr(part[0], "shape"):
        return _numpy(part[0]), _numpy(part[1])
    images, labels = [], []
    for index in range(len(part)):
        image, label = part[index]
        images.append(_numpy(image))
        labels.append(int(_numpy(label)))
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        raise InputError(
            f"the {name} part has images of the shapes {shapes[0]} and {shapes[1]}: one is expected"
        )
    return np.array(images), np.array(labels, np.int64)


def _numpy(value: Any) -> np.ndarray:
    """An array of MXNet, torch or numpy, or a Pillow image, as a numpy array."""
    return value.asnumpy() if hasattr(value, "asnumpy") else np.asarray(value)
