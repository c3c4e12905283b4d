"""Data sets read from small files in the official layouts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers.dataset_files import (
    BATCHES,
    cifar_bytes,
    random_images,
    sentence,
    write_cifar10,
    write_fashion,
)

from nas_incep.datasets import (
    DATASETS,
    Dataset,
    dataset_info,
    load,
    load_test,
)
from nas_incep.datasets import dataset as dataset_module
from nas_incep.datasets.contents import contents_sha1, read_contents
from nas_incep.datasets.files import candidate_folders, default_folder
from nas_incep.datasets.registry import OFFICIAL_FILES, OfficialFile
from nas_incep.datasets.splits import split_indices
from nas_incep.errors import InputError


def joined(dataset: Dataset, validation_idx: np.ndarray, part: str) -> np.ndarray:
    """Puts train and validation back into the order of the files."""
    train, validation = getattr(dataset.train, part), getattr(dataset.validation, part)
    whole = np.empty((len(train) + len(validation), *train.shape[1:]), train.dtype)
    is_validation = np.zeros(len(whole), bool)
    is_validation[validation_idx] = True
    whole[is_validation], whole[~is_validation] = validation, train
    return whole


def test_cifar10_is_read_in_the_order_of_its_batches(tmp_path: Path) -> None:
    whole = write_cifar10(tmp_path)
    dataset = load("cifar10", tmp_path, validation_size=30)
    _, validation_idx = split_indices(whole.labels, 30, 0)
    assert np.array_equal(joined(dataset, validation_idx, "images"), whole.images)
    assert np.array_equal(joined(dataset, validation_idx, "labels"), whole.labels)
    assert dataset.train.images.shape == (70, 3, 32, 32)
    assert dataset.train.images.dtype == np.uint8
    assert dataset.train.labels.dtype == np.int32


@pytest.mark.parametrize(
    "where", [".", "cifar-10-batches-bin", "cifar10", "cifar10/cifar-10-batches-bin"]
)
def test_cifar10_is_found_below_the_folder(tmp_path: Path, where: str) -> None:
    write_cifar10(tmp_path / where)
    assert len(load("cifar10", tmp_path, 30).train.labels) == 70


@pytest.mark.parametrize("below", ["", "cifar-10-batches-bin"])
def test_without_a_folder_mxnets_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mx"))
    write_cifar10(tmp_path / "mx" / "datasets" / "cifar10" / below)
    assert len(load("cifar10", validation_size=30).train.labels) == 70


def test_the_default_folder_lies_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MXNET_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".mxnet" / "datasets" / "fashion-mnist"
    assert default_folder(DATASETS["fashion_mnist"]) == folder


def test_cifar100_takes_the_fine_label(tmp_path: Path) -> None:
    whole = random_images(300, 100, (3, 32, 32))
    (tmp_path / "train.bin").write_bytes(cifar_bytes(whole, superclass=True))
    dataset = load("cifar100", tmp_path, validation_size=100)
    assert sorted(dataset.train.labels) == sorted(list(range(100)) * 2)
    assert sorted(dataset.validation.labels) == list(range(100))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("where", ["", "fashion-mnist", "fashion_mnist"])
def test_fashion_mnist_packed_or_not(tmp_path: Path, packed: bool, where: str) -> None:
    train = write_fashion(tmp_path / where, "train", 40, packed)
    test = write_fashion(tmp_path / where, "t10k", 20, packed)
    dataset = load("fashion_mnist", tmp_path, validation_size=10)
    _, validation_idx = split_indices(train.labels, 10, 0)
    assert np.array_equal(joined(dataset, validation_idx, "images"), train.images)
    assert np.array_equal(load_test("fashion_mnist", tmp_path).images, test.images)


def test_fashion_mnist_of_the_system_is_the_last_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    info = DATASETS["fashion_mnist"]
    default = tmp_path / "datasets" / "fashion-mnist"
    assert candidate_folders(info) == [
        default,
        Path("/usr/share/datasets/fashion-mnist"),
    ]
    assert Path(info.system_folder) not in candidate_folders(info, tmp_path)


def test_digits_are_cut_into_1500_and_297() -> None:
    dataset, test = load("digits"), load_test("digits")
    assert dataset.train.images.shape == (1200, 1, 8, 8)
    assert dataset.validation.images.shape == (300, 1, 8, 8)
    assert test.images.shape == (297, 1, 8, 8)
    assert set(np.unique(test.images)) <= {round(value * 255 / 16) for value in range(17)}
    assert test.images.max() == 255
    assert set(np.bincount(test.labels)) <= {29, 30}
    assert dataset.official is None
    assert dataset.notices == ()


def test_the_sealed_digits_do_not_depend_on_the_split() -> None:
    parts = [load("digits", split_seed=seed) for seed in (0, 1)]
    wholes = [
        sorted(image.tobytes() for part in (p.train, p.validation) for image in part.images)
        for p in parts
    ]
    assert wholes[0] == wholes[1]


@pytest.mark.parametrize(
    "name, channels, classes",
    [("cifar10", 3, 10), ("cifar100", 3, 100), ("fashion_mnist", 1, 10), ("digits", 1, 10)],
)
def test_each_data_set_is_described(name: str, channels: int, classes: int) -> None:
    info = dataset_info(name)
    assert info.name == name
    assert info.image_shape[0] == channels
    assert len(set(info.classes)) == classes
    assert set(info.train_files + info.test_files) <= set(OFFICIAL_FILES)
    assert not set(info.train_files) & set(info.test_files)


# The search must not be able to see the test part.


def test_load_needs_no_test_file_and_ignores_a_broken_one(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    without = load("cifar10", tmp_path, 30)
    (tmp_path / "test_batch.bin").write_bytes(b"garbage")
    assert load("cifar10", tmp_path, 30).fingerprint == without.fingerprint


def test_load_opens_no_test_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar10(tmp_path)
    test = random_images(10, 10, (3, 32, 32), seed=1)
    (tmp_path / "test_batch.bin").write_bytes(cifar_bytes(test))
    read: list[str] = []
    open_file = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *how: read.append(path.name) or open_file(path, *how)
    )
    load("cifar10", tmp_path, 30)
    assert read == BATCHES
    assert np.array_equal(load_test("cifar10", tmp_path).images, test.images)
    assert read == [*BATCHES, "test_batch.bin"]


def test_mean_and_std_are_those_of_the_train_images_alone(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    dataset = load("cifar10", tmp_path, 30)
    scaled = dataset.train.images.astype(np.float64) / 255
    assert dataset.mean == pytest.approx(scaled.mean(axis=(0, 2, 3)), rel=1e-12)
    assert dataset.std == pytest.approx(scaled.std(axis=(0, 2, 3)), rel=1e-9)


# Files that are not the official ones.


def test_files_with_other_sums_are_used_with_a_notice(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    dataset = load("cifar10", tmp_path, 30)
    assert dataset.official is False
    assert dataset.notices == (
        f"{tmp_path}: {', '.join(BATCHES)} differ from the official files of CIFAR-10: "
        "results are not comparable with published ones",
    )
    (tmp_path / "test_batch.bin").write_bytes(cifar_bytes(random_images(10, 10, (3, 32, 32))))
    assert load_test("cifar10", tmp_path).notices == (
        f"{tmp_path}: test_batch.bin differs from the official files of CIFAR-10: "
        "results are not comparable with published ones",
    )


@pytest.mark.parametrize("packed", [True, False])
def test_the_official_files_give_no_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    write_fashion(tmp_path, "train", 40, packed)
    for name in DATASETS["fashion_mnist"].train_files:
        path = tmp_path / (name if packed else name[:-3])
        contents = read_contents(path, 1 << 20)
        official = OfficialFile(len(contents), contents_sha1(contents))
        monkeypatch.setitem(OFFICIAL_FILES, name, official)
    dataset = load("fashion_mnist", tmp_path, 10)
    assert dataset.official is True
    assert dataset.notices == ()


def test_the_superseded_edition_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_fashion(tmp_path, "train", packed=False)
    labels = (tmp_path / "train-labels-idx1-ubyte").read_bytes()
    monkeypatch.setattr(dataset_module, "SUPERSEDED_SHA1", {contents_sha1(labels)})
    dataset = load("fashion_mnist", tmp_path, 10)
    assert dataset.official is False
    assert "first edition" in dataset.notices[0]


def test_absent_classes_are_named(tmp_path: Path) -> None:
    whole = random_images(50, 100, (3, 32, 32))
    (tmp_path / "train.bin").write_bytes(cifar_bytes(whole, superclass=True) * 2)
    notices = load("cifar100", tmp_path, 50).notices
    assert notices[1].startswith(f"{tmp_path}: train.bin: no image of class mouse, mushroom, oak")


# One sentence per mistake: the file, what was found, the rule.


def test_unknown_data_set() -> None:
    with pytest.raises(InputError) as error:
        load("mnist")
    assert sentence(error) == (
        "data set 'mnist' is not known: choose one of cifar10, cifar100, fashion_mnist, digits, "
        "or name a folder with a folder of images for each class, an .npz file or a .rec file"
    )
    with pytest.raises(InputError, match="'mnist' is not known"):
        load_test("mnist")


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion_mnist"])
def test_nothing_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(InputError) as error:
        load(name, tmp_path / "nowhere")
    text = sentence(error)
    assert f"`nas-incep data {name}` downloads it" in text
    for folder in candidate_folders(DATASETS[name], tmp_path / "nowhere"):
        assert str(folder) in text


def test_missing_batches(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    (tmp_path / BATCHES[1]).unlink()
    (tmp_path / BATCHES[3]).unlink()
    with pytest.raises(InputError) as error:
        load("cifar10", tmp_path)
    assert sentence(error).startswith(
        f"{tmp_path}: data_batch_2.bin, data_batch_4.bin not there, but CIFAR-10 needs data_batch_1"
    )


def test_missing_test_file(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    with pytest.raises(InputError, match=r"test_batch\.bin not there"):
        load_test("cifar10", tmp_path)


def test_constant_images(tmp_path: Path) -> None:
    whole = random_images(20, 10, (3, 32, 32))
    whole.images[:, 1] = 7
    for name in BATCHES:
        (tmp_path / name).write_bytes(cifar_bytes(whole))
    with pytest.raises(InputError) as error:
        load("cifar10", tmp_path, 10)
    assert sentence(error) == (
        "channel 1 of the train images is constant (value 7 in every pixel): "
        "there is nothing to learn from"
    )


def test_the_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.data * 255 / 16).astype(np.uint8)
    expected = Counter(zip(map(bytes, pixels), digits.target))
    found: Counter[tuple[bytes, int]] = Counter()
    dataset = load("digits")
    for part in (dataset.train, dataset.validation, load_test("digits")):
        found.update(zip(map(bytes, part.images), part.labels))
    assert found == expected
