"""The split into train and validation, and fingerprints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.dataset_files import BATCHES, random_images, sentence, write_cifar10
from hypothesis import given
from hypothesis import strategies as st

from nas_incep.datasets import Images, fingerprint, load, load_test
from nas_incep.datasets.splits import split_indices
from nas_incep.errors import InputError


@pytest.mark.parametrize("size", [-1, 0, 9, 91, 100, 5000])
def test_validation_size_out_of_range(size: int) -> None:
    with pytest.raises(InputError) as error:
        split_indices(np.arange(100) % 10, size, 0)
    assert sentence(error) == (
        f"validation size {size}: must lie between 10 and 90, so that of 100 images each of the "
        "10 classes keeps one in train and one in validation"
    )


def test_a_class_too_rare_for_the_split() -> None:
    labels = np.array([0] * 97 + [1] * 3)
    with pytest.raises(InputError) as error:
        split_indices(labels, 10, 0)
    assert sentence(error) == (
        "validation size 10: class 1 would give 0 of its 3 images, but must keep one in train "
        "and one in validation"
    )
    with pytest.raises(InputError, match="class 1 would give 3 of its 3 images"):
        split_indices(labels, 90, 0)


def test_negative_seed() -> None:
    with pytest.raises(InputError, match=r"^split seed -1: must be at least 0$"):
        split_indices(np.arange(100) % 10, 20, -1)


def test_the_split_is_the_same_with_every_numpy() -> None:
    _, validation_idx = split_indices(np.arange(30) % 3, 9, seed=7)
    assert validation_idx.tolist() == [4, 6, 10, 11, 13, 20, 21, 23, 24]


labels_of_common_classes = st.lists(st.integers(2, 40), min_size=1, max_size=8).flatmap(
    lambda counts: st.permutations(
        [label for label, count in enumerate(counts) for _ in range(count)]
    ).map(np.array)
)


@given(labels=labels_of_common_classes, share=st.floats(0, 1), seed=st.integers(0, 2**64))
def test_split_laws(labels: np.ndarray, share: float, seed: int) -> None:
    size = round(share * len(labels))
    counts = np.bincount(labels)
    try:
        train, validation = split_indices(labels, size, seed)
    except InputError:
        # Refused only where some class would be left without an image on one side.
        quotas = counts * size / len(labels)
        assert quotas.min() < 1 or (counts - quotas).min() < 1
        return
    # Disjoint, complete, sorted.
    assert len(validation) == size
    assert np.array_equal(np.sort(np.concatenate([train, validation])), np.arange(len(labels)))
    assert (np.diff(train) > 0).all() and (np.diff(validation) > 0).all()
    # Stratified: within one image of the exact share, and no class missing on either side.
    shares = np.bincount(labels[validation], minlength=len(counts))
    assert (abs(shares - counts * size / len(labels)) < 1).all()
    assert (shares >= 1).all() and (shares < counts).all()
    # Deterministic.
    again = split_indices(labels.copy(), size, seed)
    assert np.array_equal(again[0], train) and np.array_equal(again[1], validation)


def test_another_seed_gives_another_split() -> None:
    labels = np.arange(200) % 10
    assert not np.array_equal(split_indices(labels, 50, 0)[1], split_indices(labels, 50, 1)[1])


# Fingerprints.


def test_the_fingerprint_is_the_same_on_every_machine() -> None:
    assert load("digits").fingerprint == "28511e4b2a790a46"
    assert fingerprint(load_test("digits")) == "2ff2a8d3f81e04e9"


def test_any_change_changes_the_fingerprint(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    content = (tmp_path / BATCHES[4]).read_bytes()

    def found_fingerprint(size: int = 30, seed: int = 0) -> str:
        return load("cifar10", tmp_path, size, seed).fingerprint

    def with_byte(position: int, value: int) -> str:
        changed = bytearray(content)
        changed[position] = value
        (tmp_path / BATCHES[4]).write_bytes(changed)
        found = found_fingerprint()
        (tmp_path / BATCHES[4]).write_bytes(content)
        return found

    same = found_fingerprint()
    assert len(same) == 16
    assert found_fingerprint() == same
    different = [
        found_fingerprint(size=31),
        found_fingerprint(seed=1),
        with_byte(-1, content[-1] ^ 1),
        with_byte(0, (content[0] + 1) % 10),
    ]
    assert len({same, *different}) == 5


def test_the_fingerprint_of_a_part_covers_its_shape() -> None:
    part = random_images(10, 10, (1, 4, 4))
    reshaped = Images(part.images.reshape(10, 1, 2, 8), part.labels)
    assert fingerprint(part) != fingerprint(reshaped)
