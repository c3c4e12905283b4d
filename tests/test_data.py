"""Data sets read from small files in the official layouts."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_incep.datasets import dataset as data
from nas_incep.datasets import files as data_files
from nas_incep.datasets import registry
from nas_incep.errors import InputError

BATCHES = [f"data_batch_{batch}.bin" for batch in range(1, 6)]
RECORD_BYTES = {"cifar10": 3073, "cifar100": 3074}


def random_images(
    count: int, classes: int, shape: tuple[int, ...], seed: int = 0
) -> data_files.Images:
    """Random pixels; the labels go round the classes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)
    return data_files.Images(pixels, np.arange(count, dtype=np.int32) % classes)


def cifar_bytes(part: data_files.Images, superclass: bool = False) -> bytes:
    columns = [part.labels.astype(np.uint8)[:, None], part.images.reshape(len(part.labels), -1)]
    if superclass:
        columns.insert(0, np.full((len(part.labels), 1), 19, np.uint8))
    return np.concatenate(columns, axis=1).tobytes()


def write_cifar10(folder: Path, records_per_batch: int = 20) -> data_files.Images:
    """Writes five batches and no test file. Returns the images in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = random_images(5 * records_per_batch, 10, (3, 32, 32))
    for batch, name in enumerate(BATCHES):
        cut = slice(batch * records_per_batch, (batch + 1) * records_per_batch)
        part = data_files.Images(whole.images[cut], whole.labels[cut])
        (folder / name).write_bytes(cifar_bytes(part))
    return whole


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def write_fashion(
    folder: Path, prefix: str, count: int = 40, packed: bool = True
) -> data_files.Images:
    folder.mkdir(parents=True, exist_ok=True)
    part = random_images(count, 10, (1, 28, 28))
    for name, array in [
        (f"{prefix}-images-idx3-ubyte", part.images[:, 0]),
        (f"{prefix}-labels-idx1-ubyte", part.labels.astype(np.uint8)),
    ]:
        content = idx_bytes(array)
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
    return part


def joined(dataset: data.Dataset, validation_idx: np.ndarray, part: str) -> np.ndarray:
    """Puts train and validation back into the order of the files."""
    train, validation = getattr(dataset.train, part), getattr(dataset.validation, part)
    whole = np.empty((len(train) + len(validation), *train.shape[1:]), train.dtype)
    is_validation = np.zeros(len(whole), bool)
    is_validation[validation_idx] = True
    whole[is_validation], whole[~is_validation] = validation, train
    return whole


def sentence(error: pytest.ExceptionInfo[InputError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_cifar10_is_read_in_the_order_of_its_batches(tmp_path: Path) -> None:
    whole = write_cifar10(tmp_path)
    dataset = data.load("cifar10", tmp_path, validation_size=30)
    _, validation_idx = data.split_indices(whole.labels, 30, 0)
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
    assert len(data.load("cifar10", tmp_path, 30).train.labels) == 70


@pytest.mark.parametrize("below", ["", "cifar-10-batches-bin"])
def test_without_a_folder_mxnets_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mx"))
    write_cifar10(tmp_path / "mx" / "datasets" / "cifar10" / below)
    assert len(data.load("cifar10", validation_size=30).train.labels) == 70


def test_the_default_folder_lies_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MXNET_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".mxnet" / "datasets" / "fashion-mnist"
    assert data_files.default_folder(registry.DATASETS["fashion_mnist"]) == folder


def test_cifar100_takes_the_fine_label(tmp_path: Path) -> None:
    whole = random_images(300, 100, (3, 32, 32))
    (tmp_path / "train.bin").write_bytes(cifar_bytes(whole, superclass=True))
    dataset = data.load("cifar100", tmp_path, validation_size=100)
    assert sorted(dataset.train.labels) == sorted(list(range(100)) * 2)
    assert sorted(dataset.validation.labels) == list(range(100))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("where", ["", "fashion-mnist", "fashion_mnist"])
def test_fashion_mnist_packed_or_not(tmp_path: Path, packed: bool, where: str) -> None:
    train = write_fashion(tmp_path / where, "train", 40, packed)
    test = write_fashion(tmp_path / where, "t10k", 20, packed)
    dataset = data.load("fashion_mnist", tmp_path, validation_size=10)
    _, validation_idx = data.split_indices(train.labels, 10, 0)
    assert np.array_equal(joined(dataset, validation_idx, "images"), train.images)
    assert np.array_equal(data.load_test("fashion_mnist", tmp_path).images, test.images)


def test_fashion_mnist_of_the_system_is_the_last_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    info = registry.DATASETS["fashion_mnist"]
    default = tmp_path / "datasets" / "fashion-mnist"
    assert data_files.candidate_folders(info) == [
        default,
        Path("/usr/share/datasets/fashion-mnist"),
    ]
    assert Path(info.system_folder) not in data_files.candidate_folders(info, tmp_path)


def test_digits_are_cut_into_1500_and_297() -> None:
    dataset, test = data.load("digits"), data.load_test("digits")
    assert dataset.train.images.shape == (1200, 1, 8, 8)
    assert dataset.validation.images.shape == (300, 1, 8, 8)
    assert test.images.shape == (297, 1, 8, 8)
    assert set(np.unique(test.images)) <= {round(value * 255 / 16) for value in range(17)}
    assert test.images.max() == 255
    assert set(np.bincount(test.labels)) <= {29, 30}
    assert dataset.official is None
    assert dataset.notices == ()


def test_the_sealed_digits_do_not_depend_on_the_split() -> None:
    parts = [data.load("digits", split_seed=seed) for seed in (0, 1)]
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
    info = registry.dataset_info(name)
    assert info.name == name
    assert info.image_shape[0] == channels
    assert len(set(info.classes)) == classes
    assert set(info.train_files + info.test_files) <= set(registry.OFFICIAL_SHA1)
    assert not set(info.train_files) & set(info.test_files)


# The search must not be able to see the test part.


def test_load_needs_no_test_file_and_ignores_a_broken_one(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    without = data.load("cifar10", tmp_path, 30)
    (tmp_path / "test_batch.bin").write_bytes(b"garbage")
    assert data.load("cifar10", tmp_path, 30).fingerprint == without.fingerprint


def test_load_opens_no_test_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar10(tmp_path)
    test = random_images(10, 10, (3, 32, 32), seed=1)
    (tmp_path / "test_batch.bin").write_bytes(cifar_bytes(test))
    read: list[str] = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or read_bytes(path))
    data.load("cifar10", tmp_path, 30)
    assert read == BATCHES
    assert np.array_equal(data.load_test("cifar10", tmp_path).images, test.images)
    assert read == [*BATCHES, "test_batch.bin"]


def test_mean_and_std_are_those_of_the_train_images_alone(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    dataset = data.load("cifar10", tmp_path, 30)
    scaled = dataset.train.images.astype(np.float64) / 255
    assert dataset.mean == pytest.approx(scaled.mean(axis=(0, 2, 3)), rel=1e-12)
    assert dataset.std == pytest.approx(scaled.std(axis=(0, 2, 3)), rel=1e-9)


# Fingerprints.


def test_the_fingerprint_is_the_same_on_every_machine() -> None:
    assert data.load("digits").fingerprint == "28511e4b2a790a46"
    assert data.fingerprint(data.load_test("digits")) == "2ff2a8d3f81e04e9"


def test_any_change_changes_the_fingerprint(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    content = (tmp_path / BATCHES[4]).read_bytes()

    def fingerprint(size: int = 30, seed: int = 0) -> str:
        return data.load("cifar10", tmp_path, size, seed).fingerprint

    def with_byte(position: int, value: int) -> str:
        changed = bytearray(content)
        changed[position] = value
        (tmp_path / BATCHES[4]).write_bytes(changed)
        found = fingerprint()
        (tmp_path / BATCHES[4]).write_bytes(content)
        return found

    same = fingerprint()
    assert len(same) == 16
    assert fingerprint() == same
    different = [
        fingerprint(size=31),
        fingerprint(seed=1),
        with_byte(-1, content[-1] ^ 1),
        with_byte(0, (content[0] + 1) % 10),
    ]
    assert len({same, *different}) == 5


def test_the_fingerprint_of_a_part_covers_its_shape() -> None:
    part = random_images(10, 10, (1, 4, 4))
    reshaped = data_files.Images(part.images.reshape(10, 1, 2, 8), part.labels)
    assert data.fingerprint(part) != data.fingerprint(reshaped)


# Files that are not the official ones.


def test_files_with_other_sums_are_used_with_a_notice(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    dataset = data.load("cifar10", tmp_path, 30)
    assert dataset.official is False
    assert dataset.notices == (
        f"{tmp_path}: {', '.join(BATCHES)} differ from the official files of CIFAR-10: "
        "results are not comparable with published ones",
    )
    (tmp_path / "test_batch.bin").write_bytes(cifar_bytes(random_images(10, 10, (3, 32, 32))))
    assert data.load_test("cifar10", tmp_path).notices == (
        f"{tmp_path}: test_batch.bin differs from the official files of CIFAR-10: "
        "results are not comparable with published ones",
    )


@pytest.mark.parametrize("packed", [True, False])
def test_the_official_files_give_no_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    write_fashion(tmp_path, "train", 40, packed)
    for name in registry.DATASETS["fashion_mnist"].train_files:
        path = tmp_path / (name if packed else name[:-3])
        monkeypatch.setitem(
            registry.OFFICIAL_SHA1, name, data_files.contents_sha1(data_files.read_contents(path))
        )
    dataset = data.load("fashion_mnist", tmp_path, 10)
    assert dataset.official is True
    assert dataset.notices == ()


def test_the_superseded_edition_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_fashion(tmp_path, "train", packed=False)
    labels = (tmp_path / "train-labels-idx1-ubyte").read_bytes()
    monkeypatch.setattr(data_files, "SUPERSEDED_SHA1", {data_files.contents_sha1(labels)})
    dataset = data.load("fashion_mnist", tmp_path, 10)
    assert dataset.official is False
    assert "first edition" in dataset.notices[0]


def test_absent_classes_are_named(tmp_path: Path) -> None:
    whole = random_images(50, 100, (3, 32, 32))
    (tmp_path / "train.bin").write_bytes(cifar_bytes(whole, superclass=True) * 2)
    notices = data.load("cifar100", tmp_path, 50).notices
    assert notices[1].startswith(f"{tmp_path}: train.bin: no image of class mouse, mushroom, oak")


# One sentence per mistake: the file, what was found, the rule.


def test_unknown_data_set() -> None:
    with pytest.raises(InputError) as error:
        data.load("mnist")
    assert sentence(error) == (
        "data set 'mnist' is not known: choose one of cifar10, cifar100, fashion_mnist, digits"
    )
    with pytest.raises(InputError, match="'mnist' is not known"):
        data.load_test("mnist")


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion_mnist"])
def test_nothing_found(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as error:
        data.load(name, tmp_path / "nowhere")
    text = sentence(error)
    assert f"`nas-incep data {name}` downloads it" in text
    for folder in data_files.candidate_folders(registry.DATASETS[name], tmp_path / "nowhere"):
        assert str(folder) in text


def test_missing_batches(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    (tmp_path / BATCHES[1]).unlink()
    (tmp_path / BATCHES[3]).unlink()
    with pytest.raises(InputError) as error:
        data.load("cifar10", tmp_path)
    assert sentence(error).startswith(
        f"{tmp_path}: data_batch_2.bin, data_batch_4.bin not there, but CIFAR-10 needs data_batch_1"
    )


def test_missing_test_file(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    with pytest.raises(InputError, match=r"test_batch\.bin not there"):
        data.load_test("cifar10", tmp_path)


@pytest.mark.parametrize("kept", [0, 1, 3072, 2 * 3073 - 1])
def test_truncated_records(tmp_path: Path, kept: int) -> None:
    write_cifar10(tmp_path)
    path = tmp_path / BATCHES[2]
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError) as error:
        data.load("cifar10", tmp_path)
    assert sentence(error) == (
        f"{path}: {kept} bytes are no whole number of records: CIFAR-10 has 3073 bytes a record, "
        "and a file holds at least one"
    )


@pytest.mark.parametrize("name, classes", [("cifar10", 10), ("cifar100", 100)])
def test_label_out_of_range(tmp_path: Path, name: str, classes: int) -> None:
    info = registry.DATASETS[name]
    whole = random_images(20, classes, (3, 32, 32))
    whole.labels[7] = classes
    for file in info.train_files:
        (tmp_path / file).write_bytes(cifar_bytes(whole, superclass=name == "cifar100"))
    with pytest.raises(InputError) as error:
        data.load(name, tmp_path)
    assert sentence(error) == (
        f"{tmp_path / info.train_files[0]}: record 7 (counted from 0) has label {classes}, "
        f"but the labels of {info.title} run from 0 to {classes - 1}"
    )


@pytest.mark.parametrize("kind", ["folder", "loop"])
def test_unreadable_file(tmp_path: Path, kind: str) -> None:
    write_cifar10(tmp_path)
    path = tmp_path / BATCHES[0]
    path.unlink()
    path.mkdir() if kind == "folder" else path.symlink_to(path)
    with pytest.raises(InputError) as error:
        data.load("cifar10", tmp_path)
    assert sentence(error).startswith(f"{path}: cannot be read: ")


FASHION_FAULTS = {
    "images": [
        (
            lambda b: b[:10],
            "10 bytes, but the header alone of an idx file of 3 dimensions takes 16",
        ),
        (
            lambda b: struct.pack(">I", 2049) + b[4:],
            "magic number 2049, but an idx file of bytes in 3 dimensions starts with 2051",
        ),
        (
            lambda b: b[:8] + struct.pack(">II", 14, 56) + b[16:],
            "images of 14 x 56 pixels, but 28 x 28 are expected",
        ),
        (
            lambda b: b[:-1],
            "31375 bytes for 40 items: there must be at least one item, and 40 take 31376 bytes",
        ),
        (
            lambda b: b + b"\0",
            "31377 bytes for 40 items: there must be at least one item, and 40 take 31376 bytes",
        ),
        (
            lambda b: b[:4] + struct.pack(">I", 0) + b[8:16],
            "16 bytes for 0 items: there must be at least one item, and 0 take 16 bytes",
        ),
    ],
    "labels": [
        (
            lambda b: struct.pack(">I", 2051) + b[4:],
            "magic number 2051, but an idx file of bytes in 1 dimension starts with 2049",
        ),
        (
            lambda b: b[:4] + struct.pack(">I", 39) + b[8:-1],
            "39 labels, but train-images-idx3-ubyte beside it holds 40 images: "
            "each image needs one label",
        ),
        (
            lambda b: b[:-1] + b"\n",
            "record 39 (counted from 0) has label 10, but the labels of Fashion-MNIST run "
            "from 0 to 9",
        ),
    ],
}


@pytest.mark.parametrize(
    "kind, case",
    [(kind, case) for kind, cases in FASHION_FAULTS.items() for case in range(len(cases))],
)
def test_faulty_idx_files(tmp_path: Path, kind: str, case: int) -> None:
    change, expected = FASHION_FAULTS[kind][case]
    write_fashion(tmp_path, "train", packed=False)
    path = tmp_path / f"train-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError) as error:
        data.load("fashion_mnist", tmp_path)
    assert sentence(error) == f"{path}: {expected}"


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b"no gzip at all",
        lambda b: b[:-20],
        lambda b: b[:100] + bytes([b[100] ^ 255]) + b[101:],
        lambda b: b[:-8] + bytes(4) + b[-4:],
        lambda b: b"",
    ],
    ids=["other", "truncated", "flipped", "checksum", "empty"],
)
def test_corrupt_gzip(tmp_path: Path, change) -> None:
    write_fashion(tmp_path, "train")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError) as error:
        data.load("fashion_mnist", tmp_path)
    assert sentence(error).startswith(f"{path}: ")


def test_constant_images(tmp_path: Path) -> None:
    whole = random_images(20, 10, (3, 32, 32))
    whole.images[:, 1] = 7
    for name in BATCHES:
        (tmp_path / name).write_bytes(cifar_bytes(whole))
    with pytest.raises(InputError) as error:
        data.load("cifar10", tmp_path, 10)
    assert sentence(error) == (
        "channel 1 of the train images is constant (value 7 in every pixel): "
        "there is nothing to learn from"
    )


# The split.


@pytest.mark.parametrize("size", [-1, 0, 9, 91, 100, 5000])
def test_validation_size_out_of_range(size: int) -> None:
    with pytest.raises(InputError) as error:
        data.split_indices(np.arange(100) % 10, size, 0)
    assert sentence(error) == (
        f"validation size {size}: must lie between 10 and 90, so that of 100 images each of the "
        "10 classes keeps one in train and one in validation"
    )


def test_a_class_too_rare_for_the_split() -> None:
    labels = np.array([0] * 97 + [1] * 3)
    with pytest.raises(InputError) as error:
        data.split_indices(labels, 10, 0)
    assert sentence(error) == (
        "validation size 10: class 1 would give 0 of its 3 images, but must keep one in train "
        "and one in validation"
    )
    with pytest.raises(InputError, match="class 1 would give 3 of its 3 images"):
        data.split_indices(labels, 90, 0)


def test_negative_seed() -> None:
    with pytest.raises(InputError, match=r"^split seed -1: must be at least 0$"):
        data.split_indices(np.arange(100) % 10, 20, -1)


def test_the_split_is_the_same_with_every_numpy() -> None:
    _, validation_idx = data.split_indices(np.arange(30) % 3, 9, seed=7)
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
        train, validation = data.split_indices(labels, size, seed)
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
    again = data.split_indices(labels.copy(), size, seed)
    assert np.array_equal(again[0], train) and np.array_equal(again[1], validation)


def test_another_seed_gives_another_split() -> None:
    labels = np.arange(200) % 10
    assert not np.array_equal(
        data.split_indices(labels, 50, 0)[1], data.split_indices(labels, 50, 1)[1]
    )


@given(
    labels=st.lists(st.integers(0, 99), min_size=1, max_size=12),
    superclass=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_records_come_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, labels: list[int], superclass: bool, seed: int
) -> None:
    name = "cifar100" if superclass else "cifar10"
    info = registry.DATASETS[name]
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 3, 32, 32), np.uint8)
    part = data_files.Images(pixels, np.array(labels, np.int32) % len(info.classes))
    folder = tmp_path_factory.mktemp("records")
    (folder / info.test_files[0]).write_bytes(cifar_bytes(part, superclass))
    found = data.load_test(name, folder)
    assert np.array_equal(found.images, part.images)
    assert np.array_equal(found.labels, part.labels)
