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
from .bundle import TEST_LOG, Bundle
from .manifest import Source


def evaluate_bundle(
    bundle: Bundle, engine: Engine, split: str, data_dir: Path | None, device: str
) -> dict[str, Any]:
    """The accuracy and mean loss of a bundle on the `validation` or `test` part of its data set.

    Raises InputError if the data are not those that the bundle was trained on.
    """
    place = engine.resolve(device)
    images = _images(bundle, split, data_dir)
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
        "seen_in_training": split != "test"
        and bundle.manifest.accuracy.validation_seen_in_training,
    }
    if split == "test":
        _log_look(bundle, {**summary, "data_fingerprint": data.fingerprint(images)})
    return {**summary, "notices": list(images.notices)}


def _images(bundle: Bundle, split: str, data_dir: Path | None) -> Images:
    recorded = bundle.manifest.data
    if split == "test":
        return data.load_test(recorded.name, data_dir)
    dataset = load_recorded(recorded, data_dir, bundle.path)
    return dataclasses.replace(dataset.validation, notices=dataset.notices)


def load_recorded(recorded: Source, data_dir: Path | None, owner: Path) -> Dataset:
    """The data set that the run or bundle `owner` was made on. Raises InputError for other data."""
    dataset = data.load(recorded.name, data_dir, recorded.validation_size)
    if dataset.fingerprint != recorded.fingerprint:
        raise InputError(
            f"{recorded.name}: these are not the data of {owner}: their fingerprint is "
            f"{dataset.fingerprint}, expected {recorded.fingerprint}"
        )
    return dataset


def _log_look(bundle: Bundle, summary: dict[str, Any]) -> None:
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    append_line(bundle.path / TEST_LOG, json.dumps({"time": now, **summary}))
