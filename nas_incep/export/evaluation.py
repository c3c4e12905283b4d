"""Evaluating an exported bundle on the data that it was made for."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any

from ..datasets import Images, fingerprint, load, load_test
from ..errors import InputError
from .bundle import TEST_LOG, Bundle


def evaluate_bundle(
    bundle: Bundle, split: str, data_dir: Path | None, device: str
) -> dict[str, Any]:
    """The accuracy and mean loss of a bundle on a part of its data set.

    Raises InputError where the data are not those that the bundle was trained on.
    """
    from ..engines.gluon.runtime import device_name, mx, resolve_device
    from ..engines.gluon.training import evaluate
    from ..engines.gluon.zoo import load_network

    context = resolve_device(device)
    images = _images(bundle, split, data_dir)
    shape = images.images.shape[1:]
    if shape != tuple(bundle.architecture.input_shape):
        raise InputError(
            f"{bundle.path}: takes images of {bundle.architecture.input_shape}, "
            f"the data set has {tuple(shape)}"
        )
    network = load_network(bundle, context)
    try:
        result = evaluate(network, images, bundle.normalisation, context)
    except mx.base.MXNetError as error:
        raise InputError(
            f"{bundle.path}: cannot be computed: {str(error).splitlines()[-1]}"
        ) from None
    summary = {
        "split": split,
        "accuracy": result.accuracy,
        "loss": result.loss,
        "correct": result.correct,
        "images": result.images,
        "seconds": result.seconds,
        "device": device_name(context),
    }
    if split == "test":
        _log_look(bundle, {**summary, "data_fingerprint": fingerprint(images)})
    return {**summary, "notices": list(images.notices)}


def _images(bundle: Bundle, split: str, data_dir: Path | None) -> Images:
    recorded = bundle.manifest["data"]
    if split == "test":
        return load_test(recorded["name"], data_dir)
    dataset = load(recorded["name"], data_dir, recorded["validation_size"])
    if dataset.fingerprint != recorded["fingerprint"]:
        raise InputError(
            f"{recorded['name']}: these are not the data of {bundle.path}: their fingerprint is "
            f"{dataset.fingerprint}, expected {recorded['fingerprint']}"
        )
    return dataclasses.replace(dataset.validation, notices=dataset.notices)


def _log_look(bundle: Bundle, summary: dict[str, Any]) -> None:
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    with open(bundle.path / TEST_LOG, "a", encoding="utf-8") as file:
        file.write(json.dumps({"time": now, **summary}) + "\n")
