"""Batches gathered on the device are those that the host makes, for every option."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nas_incep.datasets import Dataset, Images, registry  # noqa: E402
from nas_incep.datasets.batches import normalization  # noqa: E402
from nas_incep.engines.torch import feed, training  # noqa: E402
from nas_incep.recipe import Recipe  # noqa: E402

CPU = torch.device("cpu")


def dataset_of(channels: int, padding: int, flip: bool, count: int = 23) -> Dataset:
    """Random images that are higher than wide."""
    rng = np.random.Generator(np.random.PCG64(0))
    images = rng.integers(0, 256, (count, channels, 7, 5), np.uint8)
    part = Images(images, np.arange(count, dtype=np.int32))
    shape = images.shape[1:]
    info = dataclasses.replace(
        registry.DATASETS["digits"], flip=flip, crop_padding=padding, image_shape=shape
    )
    return Dataset(info, part, part, "", None, (0.4,) * channels, (0.3,) * channels, ())


def epoch(one: Any, seed: int, steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    one.begin(seed)
    one.restart()
    return [tuple(value.cpu().numpy() for value in one.next()) for _ in range(steps)]


def assert_same(one: Any, other: Any) -> None:
    for (images, labels), (same, numbers) in zip(one, other):
        assert images.shape == same.shape and images.dtype == same.dtype == np.float32
        assert np.array_equal(images, same)
        assert np.array_equal(labels, numbers)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize(("batch_size", "images"), [(4, None), (4, 9), (100, None)])
def test_a_device_gathers_the_hosts_batches(
    channels: int,
    padding: int,
    flip: bool,
    augment: bool,
    batch_size: int,
    images: int | None,
) -> None:
    dataset = dataset_of(channels, padding, flip)
    recipe = Recipe(batch_size=batch_size, images_per_epoch=images, augment=augment)
    steps = {(4, None): 5, (4, 9): 2, (100, None): 1}[batch_size, images]
    host, device = feed.HostFeed(dataset, recipe, CPU), feed.DeviceFeed(dataset, recipe, CPU)
    first = epoch(device, 1, steps)
    assert_same(epoch(host, 1, steps), first)
    assert_same(epoch(host, 2, steps), epoch(device, 2, steps))  # the next epoch, by other draws
    assert_same(first, epoch(device, 1, steps))  # and the first one again
    if augment and padding:
        plain = feed.HostFeed(dataset, dataclasses.replace(recipe, augment=False), CPU)
        assert not np.array_equal(epoch(plain, 1, steps)[0][0], first[0][0])


def test_its_batches_lie_in_memory_as_the_hosts_do() -> None:
    dataset, recipe = dataset_of(3, 2, True), Recipe(batch_size=4)
    for kind in (feed.HostFeed, feed.DeviceFeed):
        one = kind(dataset, recipe, CPU)
        one.begin(0)
        one.restart()
        images, labels = one.next()
        assert images.is_contiguous(memory_format=torch.channels_last), kind
        assert labels.dtype == torch.int64


def test_the_next_epochs_draws_stand_where_a_captured_graph_reads_them() -> None:
    one = feed.DeviceFeed(dataset_of(1, 2, False), Recipe(batch_size=4), CPU)
    one.begin(1)
    place = one._plan.data_ptr()
    one.begin(2)
    assert one._plan.data_ptr() == place


def test_images_are_sent_to_a_device_once() -> None:
    dataset = dataset_of(1, 2, False)
    assert feed.resident_images(dataset, CPU) is feed.resident_images(dataset, CPU)
    pixels, labels = feed.resident_bytes(dataset.validation, CPU)
    assert feed.resident_bytes(dataset.validation, CPU)[0] is pixels
    assert np.array_equal(pixels.numpy(), dataset.validation.images)
    assert np.array_equal(labels.numpy(), dataset.validation.labels)


def test_images_stay_on_a_device_that_has_room_for_them() -> None:
    part = dataset_of(3, 2, True).train
    plain, bordered = 23 * 3 * 7 * 5, 23 * 3 * 11 * 9
    assert feed.are_resident(4 * plain, part)
    assert not feed.are_resident(4 * plain - 1, part)
    assert feed.are_resident(4 * bordered, part, border=2)
    assert not feed.are_resident(4 * bordered - 1, part, border=2)
    assert feed.are_resident(8 * plain, part, part)
    assert not feed.are_resident(8 * plain - 1, part, part)


@pytest.mark.parametrize("room", [True, False])
def test_the_device_decides_who_makes_the_batches(
    room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gpu:
        type = "cuda"

    monkeypatch.setattr(feed, "memory_of", lambda device: 10**9 if room else 10)
    made: list[str] = []
    monkeypatch.setattr(feed, "resident_images", lambda *_: made.append("images"))
    monkeypatch.setattr(feed.torch, "zeros", lambda *_, **__: None)
    one = feed.feed_of(dataset_of(1, 2, False), Recipe(batch_size=4), Gpu())
    assert (type(one), one.on_device) == ((feed.DeviceFeed if room else feed.HostFeed), room)
    assert made == ["images"] * room
    assert not feed.feed_of(dataset_of(1, 2, False), Recipe(batch_size=4), CPU).on_device


@pytest.mark.parametrize("memory", [10**9, 10])
def test_evaluation_sees_each_image_once_and_normalized(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the images stay on the device; `type` says that it is one."""

    class Device:
        type = "cuda"

    dataset = dataset_of(3, 2, False)
    normalize = normalization(dataset)
    monkeypatch.setattr(training, "memory_of", lambda device: memory)
    monkeypatch.setattr(training, "to_device", lambda images, n, d: torch.from_numpy(n(images)))
    with pytest.MonkeyPatch.context() as patch:
        to = torch.Tensor.to
        patch.setattr(
            torch.Tensor,
            "to",
            lambda self, place, **more: self if isinstance(place, Device) else to(self, place),
        )
        batches = list(training._batches(dataset.validation, normalize, Device(), 10))
    labels = np.concatenate([numbers.numpy() for _, numbers in batches])
    images = np.concatenate([images.numpy() for images, _ in batches])
    seen = labels >= 0
    assert np.array_equal(labels[seen], dataset.validation.labels)
    assert np.array_equal(images[seen], normalize(dataset.validation.images))
    assert [len(numbers) for _, numbers in batches][:2] == [10, 10]
