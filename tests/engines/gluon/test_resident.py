"""Batches made on a device, here a CPU's: they are those that numpy makes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nas_incep.architecture import Architecture, Block
from nas_incep.datasets import Dataset, Images, load, registry
from nas_incep.datasets.batches import draws, normalization, training_batches
from nas_incep.engines.gluon.networks import build_network
from nas_incep.engines.gluon.resident import ResidentImages, fits, resident_images
from nas_incep.engines.gluon.runtime import mx
from nas_incep.engines.gluon.training import Training
from nas_incep.recipe import Recipe

CPU = mx.cpu(0)


def random_dataset(shape: tuple[int, int, int], flip: bool, padding: int) -> Dataset:
    rng = np.random.default_rng(0)
    part = Images(
        rng.integers(0, 256, (50, *shape), np.uint8), rng.integers(0, 9, 50).astype(np.int32)
    )
    info = dataclasses.replace(registry.DATASETS["digits"], flip=flip, crop_padding=padding)
    count = shape[0]
    return Dataset(info, part, part, "", None, (0.4,) * count, (0.2,) * count, ())


@pytest.mark.parametrize("augment", [True, False])
@pytest.mark.parametrize(
    ("shape", "flip", "padding"),
    [((3, 8, 6), True, 2), ((1, 5, 5), False, 1), ((2, 4, 7), True, 0)],
)
def test_a_resident_batch_is_the_one_that_numpy_makes(
    augment: bool, shape: tuple[int, int, int], flip: bool, padding: int
) -> None:
    dataset = random_dataset(shape, flip, padding)
    resident, normalize = ResidentImages(dataset, CPU), normalization(dataset)
    which = (dataset, 16, None, augment, 3)
    expected = list(training_batches(*which))
    found = [resident.batch(draw) for draw in draws(*which)]
    assert len(found) == len(expected) == 3
    for (labels, images), (pixels, numbers) in zip(found, expected):
        assert np.array_equal(labels.asnumpy(), numbers)
        assert images.dtype == np.float32
        assert images.asnumpy() == pytest.approx(normalize(pixels), abs=1e-6)


def test_a_training_on_resident_images_is_the_same_training() -> None:
    digits = load("digits")
    architecture = Architecture((Block(1, 8, 8, 8, 8, 8, 8),), True, input_shape=(1, 8, 8))
    recipe = Recipe(epochs=1, batch_size=32, images_per_epoch=128)
    losses = []
    for resident in (False, True):
        training = Training(build_network(architecture), digits, recipe, 0, CPU)
        assert not training.resident  # a CPU has them in its memory anyway
        training.resident = resident
        if resident:  # there a network pools its images itself
            training.form.training.on_cpu = False
        losses.append(training.train_epoch()[0])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_the_images_are_sent_once() -> None:
    digits = load("digits")
    assert fits(digits)
    assert resident_images(digits, CPU) is resident_images(digits, CPU)


def test_more_pixels_than_mxnet_can_count_stay_where_they_are() -> None:
    dataset = random_dataset((3, 8, 8), True, 0)
    many = np.lib.stride_tricks.as_strided(
        dataset.train.images, (2**24, 3, 8, 8), (0, *dataset.train.images.strides[1:])
    )
    assert not fits(dataclasses.replace(dataset, train=Images(many, dataset.train.labels)))
