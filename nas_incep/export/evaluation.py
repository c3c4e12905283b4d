"""Evaluating an exported bundle on the data that it was made for."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any

from .. import datasets as data
from .._files import append_line
from ..datasets import Dataset, Images
from ..engines.base import Engine
from ..errors import InputError
from .bundle import Bundle
from .manifest import Source
from .writing import TEST_LOG


def evaluate_bundle(
    bundle: Bundle, engine: Engine, split: str, data_dir: Path | None, device: str
) -> dict[str, Any]:
    """The accuracy and mean loss of a bundle on the `validation` or `test` part of its data set.

    Raises InputError if the data are not those that the bundle was trained on.
    """
    place = engine.resolve(device)
    images = images_of(bundle, split, data_dir)
    shape = images.images.shape[1:]
    if shape != tuple(bundle.network.input_shape):
        raise InputError(
            f"{bundle.path}: takes images of {bundle.network.input_shape}, "
            f"the data set has {tuple(shape)}"
        )
    result = engine.evaluate(
        bundle.network, bundle.weights_path, images, bundle.normalization, place
    )
    summary = {
        "split": split,
        "accuracy": result.accuracy,
        "loss": result.loss,
        "correct": result.correct,
        "images": result.images,
        "seconds": result.seconds,
        "device": place,
        "seen_in_training": split != "test"
        and bundle.manifest.accuracy.validation_seen_in_training,
    }
    if split == "test":
        _log_look(bundle, {**summary, "data_fingerprint": data.fingerprint(images)})
    return {**summary, "notices": list(images.notices)}


def images_of(bundle: Bundle, split: str, data_dir: Path | None) -> Images:
    """The `validation` or `test` part of the data that a bundle was made for. Raises InputError."""
    recorded = bundle.manifest.data
    own = data.is_own(data.canonical_dataset(recorded.name))
    form = data.ImageForm.of(bundle.manifest.preprocessing.input_shape) if own else None
    # Only the training part of one's own data shows that a test part beside it belongs to them.
    if split == "test" and not own:
        return data.load_test(recorded.name, data_dir)
    dataset = load_recorded(recorded, form, data_dir, bundle.path)
    if split == "test":
        return data.load_test(recorded.name, data_dir, form)
    return dataclasses.replace(dataset.validation, notices=dataset.notices)


def load_recorded(
    recorded: Source, form: data.ImageForm | None, data_dir: Path | None, owner: Path
) -> Dataset:
    """The data set that the run or bundle `owner` was made on; `form` is that of one's own images.

    Raises InputError if it is gone, or other data are there.
    """
    name = data.canonical_dataset(recorded.name)
    own = data.is_own(name)
    dataset = data.load(name, data_dir, recorded.validation_size, form=form)
    if dataset.fingerprint != recorded.fingerprint:
        place = data_dir if own and data_dir else name
        raise InputError(
            f"{place}: these are not the data of {owner}: their fingerprint is "
            f"{dataset.fingerprint}, expected {recorded.fingerprint}"
        )
    return dataset


def _log_look(bundle: Bundle, summary: dict[str, Any]) -> None:
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    append_line(bundle.path / TEST_LOG, json.dumps({"time": now, **summary}))
