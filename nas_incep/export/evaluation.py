"""Evaluating an exported bundle on the data that it was made for."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
from pathlib import Path
from typing import Any

from .. import datasets as data
from .._files import append_line
from ..datasets import Images
from ..engines.base import Engine
from ..errors import InputError
from .bundle import TEST_LOG, Bundle


def evaluate_bundle(
    bundle: Bundle, engine: Engine, split: str, data_dir: Path | None, device: str
) -> dict[str, Any]:
    """The accuracy and mean loss of a bundle on the `validation` or `test` part of its data set.

    Raises InputError if the data are not those that the bundle was trained on.
    """
    place = engine.resolve(device)
    images = images_of(bundle, split, data_dir)
    shape = images.images.shape[1:]
    if shape != tuple(bundle.architecture.input_shape):
        raise InputError(
            f"{bundle.path}: takes images of {bundle.architecture.input_shape}, "
            f"the data set has {tuple(shape)}"
        )
    result = engine.evaluate(
        bundle.architecture, bundle.weights_path, images, bundle.normalization, place
    )
    summary = {
        "split": split,
        "accuracy": result.accuracy,
        "loss": result.loss,
        "correct": result.correct,
        "images": result.images,
        "seconds": result.seconds,
        "device": place,
    }
    if split == "test":
        _log_look(bundle, {**summary, "data_fingerprint": data.fingerprint(images)})
    return {**summary, "notices": list(images.notices)}


def images_of(bundle: Bundle, split: str, data_dir: Path | None) -> Images:
    """The `validation` or `test` part of the data that a bundle was made for. Raises InputError."""
    recorded = bundle.manifest.data
    name = data.canonical_dataset(recorded.name)
    own = data.is_own(name)
    if own and data_dir is None and not os.path.exists(name):
        raise InputError(
            f"{name}: the data of {bundle.path} are no longer there: --data-dir names the "
            "folder or file where they are now"
        )
    form = data.ImageForm.of(bundle.manifest.preprocessing.input_shape) if own else None
    # Only the training part of one's own data shows that a test part beside it belongs to them.
    if split == "test" and not own:
        return data.load_test(name, data_dir)
    dataset = data.load(name, data_dir, recorded.validation_size, form=form)
    if dataset.fingerprint != recorded.fingerprint:
        place = data_dir if own and data_dir else name
        raise InputError(
            f"{place}: these are not the data of {bundle.path}: their fingerprint is "
            f"{dataset.fingerprint}, expected {recorded.fingerprint}"
        )
    if split == "test":
        return data.load_test(name, data_dir, form)
    return dataclasses.replace(dataset.validation, notices=dataset.notices)


def _log_look(bundle: Bundle, summary: dict[str, Any]) -> None:
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    append_line(bundle.path / TEST_LOG, json.dumps({"time": now, **summary}))
