"""What only a GPU shows: its batches, captured steps, checkpoints and full memory."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nas_incep import datasets  # noqa: E402
from nas_incep.architecture import Architecture, Block  # noqa: E402
from nas_incep.datasets import Dataset  # noqa: E402
from nas_incep.engines import load_engine  # noqa: E402
from nas_incep.engines.base import Job, NetworkFailed  # noqa: E402
from nas_incep.engines.torch import capture, feed  # noqa: E402
from nas_incep.engines.torch.packed import PackedNetwork  # noqa: E402
from nas_incep.engines.torch.runtime import device_of, release_memory  # noqa: E402
from nas_incep.engines.torch.training import Training  # noqa: E402
from nas_incep.recipe import Recipe  # noqa: E402
from nas_incep.records import CANDIDATE, OUT_OF_MEMORY, Subject  # noqa: E402

pytestmark = pytest.mark.gpu

DEVICE = "gpu:0"
ARCHITECTURE = Architecture((Block(1, 8, 8, 8, 8, 8, 8),), batch_norm=True, input_shape=(1, 8, 8))
RECIPE = Recipe(epochs=3, batch_size=32, images_per_epoch=960, learning_rate=0.01)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.load("digits")


def job(digits: Dataset, folder: Path, **changes: Any) -> Job:
    subject = Subject(CANDIDATE, 0, ARCHITECTURE.identity, 1, ARCHITECTURE)
    one = Job(subject, digits, RECIPE, DEVICE, "float32", folder / "checkpoint")
    return dataclasses.replace(one, **changes)


@pytest.mark.parametrize("augment", [False, True])
def test_its_batches_are_those_of_the_host(augment: bool, digits: Dataset) -> None:
    dataset = dataclasses.replace(
        digits, info=dataclasses.replace(digits.info, flip=True, crop_padding=2)
    )
    recipe = dataclasses.replace(RECIPE, augment=augment)
    place = device_of(DEVICE)
    feeds = feed.feed_of(dataset, recipe, place), feed.HostFeed(dataset, recipe, place)
    assert feeds[0].on_device
    for seed in (1, 2):
        for one in feeds:
            one.begin(seed)
            one.restart()
        for _ in range(30):
            (images, labels), (same, numbers) = (one.next() for one in feeds)
            assert torch.equal(labels, numbers)
            assert torch.allclose(images, same, rtol=0, atol=1e-6)


def trained(digits: Dataset, captured: bool) -> dict[str, np.ndarray]:
    """The parameters after an epoch, whose steps are captured or never."""
    training = Training(PackedNetwork(ARCHITECTURE), digits, RECIPE, 1, DEVICE)
    if not captured:
        training.steps = capture.Steps(training.step, True, capturable=False)
    training.train_epoch()
    return {name: value.cpu().numpy() for name, value in training.network.arrays().items()}


def test_captured_steps_train_as_steps_one_by_one(
    digits: Dataset, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The graph stays whatever the clock says.
    monkeypatch.setattr(
        capture.Steps, "_choose", lambda self, _: setattr(self, "_run", self._graph.replay)
    )
    caplog.set_level(logging.INFO)
    graph, eager = trained(digits, True), trained(digits, False)
    assert "no CUDA graph" not in caplog.text
    for name, value in eager.items():  # kernels add in any order
        np.testing.assert_allclose(graph[name], value, rtol=1e-2, atol=1e-3, err_msg=name)


def test_a_training_goes_on_from_its_checkpoint(digits: Dataset, tmp_path: Path) -> None:
    engine = load_engine("torch")
    this = job(digits, tmp_path)
    with engine.start(this) as training:
        first = next(training.epochs(lambda images: False))
        training.save(tmp_path / "first.params")
    with engine.start(this) as training:
        assert training.curve == [first]
        training.save(tmp_path / "restored.params")
        again = list(training.epochs(lambda images: False))
    saved = [(tmp_path / f"{name}.params").read_bytes() for name in ("first", "restored")]
    assert saved[0] == saved[1]
    assert [point.epoch for point in again] == [1, 2, 3]
    with engine.start(job(digits, tmp_path / "other")) as training:
        whole = list(training.epochs(lambda images: False))
    assert [p.loss for p in again] == pytest.approx([p.loss for p in whole], rel=0.1)


def test_a_full_memory_is_an_outcome_and_the_next_network_is_trained(
    digits: Dataset, tmp_path: Path
) -> None:
    engine = load_engine("torch")
    wide = Architecture((Block(2, *[512] * 6),), input_shape=(1, 8, 8))
    subject = Subject(CANDIDATE, 0, wide.identity, 1, wide)
    this = job(digits, tmp_path / "wide", subject=subject)
    release_memory(DEVICE)
    whole = torch.cuda.get_device_properties(0).total_memory
    reserved = torch.cuda.memory_reserved(0)
    torch.cuda.set_per_process_memory_fraction((reserved + 16 * 2**20) / whole, 0)
    try:
        with pytest.raises(NetworkFailed) as failure, engine.start(this) as training:
            list(training.epochs(lambda images: False))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, 0)
    assert failure.value.state == OUT_OF_MEMORY
    with engine.start(job(digits, tmp_path)) as training:
        assert len(list(training.epochs(lambda images: False))) == 3
