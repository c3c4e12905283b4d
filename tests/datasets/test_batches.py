"""Batches: normalization, augmentation, one epoch of training images, evaluation in order."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_incep.datasets import Dataset, Images, load, registry
from nas_incep.datasets.batches import (
    Normalization,
    crop,
    draws,
    epoch_images,
    evaluation_batches,
    flip,
    max_pool_3x3,
    normalization,
    training_batches,
)
from nas_incep.engines.gluon.runtime import mx


def numbered(count: int, height: int = 5, width: int = 4, flip: bool = False) -> Dataset:
    """A data set whose image i has i + 1 in every pixel but a brighter left column, and label i."""
    pixels = np.zeros((count, 1, height, width), np.uint8)
    pixels += np.arange(1, count + 1, dtype=np.uint8)[:, None, None, None]
    pixels[..., 0] += 100
    part = Images(pixels, np.arange(count, dtype=np.int32))
    info = dataclasses.replace(registry.DATASETS["digits"], flip=flip, crop_padding=2)
    return Dataset(info, part, part, "", None, (0.0,), (1.0,), ())


# Normalization.


def test_normalized_pixels_are_those_of_the_formula() -> None:
    normalize = Normalization((0.1, 0.5, 0.9), (0.2, 0.3, 1.7))
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 6), np.uint8)
    kept = images.copy()
    found = normalize(images)
    assert found.dtype == np.float32
    assert np.array_equal(images, kept)
    mean, std = (np.array(v)[:, None, None] for v in (normalize.mean, normalize.std))
    assert found == pytest.approx((images / 255 - mean) / std, abs=1e-5)


def test_normalized_training_images_have_mean_0_and_deviation_1() -> None:
    digits = load("digits")
    found = normalization(digits)(digits.train.images).astype(np.float64)
    assert found.mean() == pytest.approx(0, abs=1e-5)
    assert found.std() == pytest.approx(1, abs=1e-5)


# Augmentation.

batches_of_images = st.tuples(
    st.integers(1, 5), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)
)


@settings(deadline=None)
@given(batches_of_images, st.integers(0, 3), st.integers(0, 99))
def test_each_crop_is_a_window_of_its_padded_image(
    shape: tuple[int, int, int, int], padding: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    batch = rng.integers(1, 256, shape, np.uint8)
    top, left = rng.integers(0, 2 * padding + 1, (2, shape[0]))
    found = crop(batch, padding, top, left)
    assert found.shape == shape
    assert found.dtype == np.uint8
    _, channels, height, width = shape
    for image, part, y, x in zip(batch, found, top, left):
        padded = np.zeros((channels, height + 2 * padding, width + 2 * padding), np.uint8)
        padded[:, padding : padding + height, padding : padding + width] = image
        assert np.array_equal(part, padded[:, y : y + height, x : x + width])


def test_crops_are_drawn_for_each_image_over_all_shifts() -> None:
    (draw,) = draws(numbered(240), 240, None, True, 0)
    counts = np.zeros((5, 5), int)
    np.add.at(counts, (draw.top, draw.left), 1)  # the rim has 2 pixels
    assert counts.sum() == 240
    assert counts.min() > 1  # 10 are expected in each of the 25 places


def test_flips_mirror_about_half_of_the_images_and_leave_the_others() -> None:
    (draw,) = draws(numbered(240, flip=True), 240, None, True, 0)
    batch = np.random.default_rng(0).integers(0, 256, (240, 3, 4, 5), np.uint8)
    found = flip(batch.copy(), draw.flipped)
    flipped = [np.array_equal(new, old[..., ::-1]) for old, new in zip(batch, found)]
    same = [np.array_equal(new, old) for old, new in zip(batch, found)]
    assert flipped == draw.flipped.tolist()
    assert all(a != b for a, b in zip(flipped, same))
    assert 90 < sum(flipped) < 150


@settings(deadline=None)
@given(batches_of_images, st.integers(0, 99))
def test_pooling_takes_the_largest_of_each_neighborhood(
    shape: tuple[int, int, int, int], seed: int
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    kept = images.copy()
    found = max_pool_3x3(images)
    assert found.dtype == np.uint8
    assert np.array_equal(images, kept)
    _, _, height, width = shape
    for y in range(height):
        for x in range(width):
            around = images[:, :, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            assert np.array_equal(found[:, :, y, x], around.max(axis=(2, 3)))


def test_pooling_and_normalizing_may_change_places() -> None:
    # That is why the pooled images can be made of bytes.
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 6, 5), np.uint8)
    normalize = Normalization((0.1, 0.9), (0.2, 1.7))
    pooled = mx.nd.Pooling(
        mx.nd.array(normalize(images)), kernel=(3, 3), pad=(1, 1), pool_type="max"
    )
    assert np.array_equal(pooled.asnumpy(), normalize(max_pool_3x3(images)))


# One epoch of training batches.


@settings(deadline=None)
@given(
    count=st.integers(1, 30),
    batch_size=st.integers(1, 40),
    images=st.none() | st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_an_epoch_has_full_batches_of_different_images(
    count: int, batch_size: int, images: int | None, seed: int
) -> None:
    dataset = numbered(count)
    found = list(training_batches(dataset, batch_size, images, False, seed))
    size = min(batch_size, count)
    wanted = min(count, images or count)
    assert len(found) == max(1, wanted // size)
    assert sum(len(labels) for _, labels in found) == epoch_images(count, batch_size, images)
    labels = np.concatenate([labels for _, labels in found])
    assert len(set(labels)) == len(labels)  # no image twice
    for batch, batch_labels in found:
        assert batch.shape == (size, 1, 5, 4)
        assert (batch.dtype, batch_labels.dtype) == (np.uint8, np.float32)
        # Images stay with their labels.
        assert np.array_equal(batch[:, 0, 0, 1], batch_labels + 1)


def test_a_whole_epoch_has_every_image_once() -> None:
    found = list(training_batches(numbered(24), 8, None, True, 0))
    assert sorted(np.concatenate([labels for _, labels in found])) == list(range(24))


def test_equal_seeds_give_equal_batches_and_others_do_not() -> None:
    def epoch(seed: int) -> np.ndarray:
        batches = training_batches(numbered(24, flip=True), 8, None, True, seed)
        return np.concatenate([batch for batch, _ in batches])

    assert np.array_equal(epoch(3), epoch(3))
    assert not np.array_equal(epoch(3), epoch(4))


def test_flips_are_left_out_where_they_would_change_the_class() -> None:
    def bright_columns(flip: bool) -> set[int]:
        dataset = numbered(100, flip=flip)
        ((batch, _),) = training_batches(dataset, 100, None, True, 0)
        pixels = batch[:, 0].max(axis=1)  # a row for each image
        # Of those not shifted out of the image: is the bright column left or right of the others?
        lit = [(row > 100, (row > 0) & (row <= 100)) for row in pixels]
        return {
            int(np.sign(np.flatnonzero(dark).mean() - np.flatnonzero(bright)[0]))
            for bright, dark in lit
            if bright.any() and dark.any()
        }

    assert bright_columns(flip=False) == {1}
    assert bright_columns(flip=True) == {1, -1}


def test_the_training_images_stay_as_they_are() -> None:
    dataset = numbered(24, flip=True)
    kept = dataset.train.images.copy()
    list(training_batches(dataset, 8, None, True, 0))
    assert np.array_equal(dataset.train.images, kept)


# Evaluation.


@settings(deadline=None)
@given(count=st.integers(1, 30), batch_size=st.integers(1, 40))
def test_evaluation_has_all_images_once_in_order_and_marks_the_rest(
    count: int, batch_size: int
) -> None:
    part = numbered(count).train
    found = list(evaluation_batches(part, batch_size))
    assert {batch.shape for batch, _ in found} == {(batch_size, 1, 5, 4)}
    images = np.concatenate([batch for batch, _ in found])
    labels = np.concatenate([labels for _, labels in found])
    assert labels.dtype == np.float32
    assert len(labels) - count < batch_size  # no batch of filling alone
    assert np.array_equal(images[:count], part.images)
    assert np.array_equal(labels[:count], part.labels)
    assert not images[count:].any()
    assert (labels[count:] == -1).all()
