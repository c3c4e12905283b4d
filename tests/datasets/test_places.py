"""What people have in their data folders: archives, other editions, other spellings, nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.dataset_files import (
    BATCHES,
    cifar_bytes,
    random_images,
    sentence,
    tar_bytes,
    write_cifar10,
    write_fashion,
)

from nas_incep.cli.data import data as data_command
from nas_incep.datasets import DATASETS, dataset_info, load, load_test
from nas_incep.datasets.files import find_source
from nas_incep.errors import InputError

ARCHIVE = "cifar-10-binary.tar.gz"
TEST = cifar_bytes(random_images(10, 10, (3, 32, 32), seed=1))


def write_archive(folder: Path, **changed: bytes | None) -> Path:
    """The official archive of CIFAR-10 with few images; a file that is None is left out."""
    write_cifar10(folder / "loose")
    files = {name: (folder / "loose" / name).read_bytes() for name in reversed(BATCHES)}
    files = {**files, "readme.html": b"more", "test_batch.bin": TEST, **changed}
    path = folder / "data" / ARCHIVE
    path.parent.mkdir()
    path.write_bytes(tar_bytes({name: content for name, content in files.items() if content}))
    return path


def fault(name: str, folder: Path) -> str:
    with pytest.raises(InputError) as error:
        load(name, folder)
    return sentence(error)


# The official archive.


def test_the_archive_is_read_as_its_files_are(tmp_path: Path) -> None:
    archive = write_archive(tmp_path)
    packed, loose = (load("cifar10", tmp_path / where, 30) for where in ("data", "loose"))
    assert packed.fingerprint == loose.fingerprint
    assert packed.notices == (
        f"{archive}: {', '.join(BATCHES)} differ from the official files of CIFAR-10: "
        "results are not comparable with published ones",
    )
    assert cifar_bytes(load_test("cifar10", tmp_path / "data")) == TEST
    assert [path.name for path in archive.parent.iterdir()] == [ARCHIVE]


def test_the_archive_is_found_where_its_files_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_archive(tmp_path)
    default = tmp_path / "mx" / "datasets" / "cifar10"
    default.mkdir(parents=True)
    archive.rename(default / ARCHIVE)
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mx"))
    assert len(load("cifar10", validation_size=30).train.labels) == 70


def test_files_come_before_the_archive_but_only_if_all_are_there(tmp_path: Path) -> None:
    folder = write_archive(tmp_path).parent
    info = DATASETS["cifar10"]
    write_cifar10(folder)
    assert find_source(info, folder, info.train_files) == folder
    assert find_source(info, folder, info.test_files) == folder / ARCHIVE
    (folder / BATCHES[2]).unlink()
    assert find_source(info, folder, info.train_files) == folder / ARCHIVE
    assert len(load("cifar10", folder, 30).train.labels) == 70


def test_a_test_file_in_the_archive_is_passed_over(tmp_path: Path) -> None:
    folder = write_archive(tmp_path, **{"test_batch.bin": b"garbage"}).parent
    assert len(load("cifar10", folder, 30).train.labels) == 70


def test_faults_in_the_archive_name_it_and_the_file(tmp_path: Path) -> None:
    archive = write_archive(tmp_path, **{BATCHES[1]: b"garbage", "test_batch.bin": None})
    assert fault("cifar10", archive.parent).startswith(
        f"{archive / BATCHES[1]}: 7 bytes are no whole number of records: "
    )
    with pytest.raises(InputError) as error:
        load_test("cifar10", archive.parent)
    assert sentence(error) == (
        f"{archive}: test_batch.bin not in it, but CIFAR-10 needs test_batch.bin"
    )
    archive.write_bytes(archive.read_bytes()[:-100])
    assert fault("cifar10", archive.parent).startswith(f"{archive}: not a whole .tar.gz file: ")


# Other editions.


@pytest.mark.parametrize(
    ("name", "folder", "archive"),
    [
        ("cifar10", "cifar-10-batches-py", "cifar-10-python.tar.gz"),
        ("cifar100", "cifar-100-python", "cifar-100-python.tar.gz"),
    ],
)
def test_pickles_are_never_read_but_named(
    tmp_path: Path, name: str, folder: str, archive: str
) -> None:
    title = DATASETS[name].title
    said = (
        f": the Python version of {title}, which is never read, because unpickling can run any "
        f"code: `nas-incep data {name}` downloads the binary version, with the same --data-dir to "
        f"the same place, or put {DATASETS[name].archive} beside it"
    )
    (tmp_path / archive).write_bytes(b"")
    assert fault(name, tmp_path) == f"{tmp_path / archive}{said}"
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "data_batch_1").write_bytes(b"")
    assert fault(name, tmp_path) == f"{tmp_path / folder}{said}"
    assert fault(name, tmp_path / folder) == f"{tmp_path / folder}{said}"


def test_torchvisions_fashion_mnist_is_read(tmp_path: Path) -> None:
    train = write_fashion(tmp_path / "FashionMNIST" / "raw", "train", packed=False)
    found = load("fashion_mnist", tmp_path, 10)
    assert len(found.train.labels) + len(found.validation.labels) == len(train.labels)


# No folder.


def test_a_folder_that_does_not_exist_is_called_so(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert fault("cifar10", nowhere) == (
        f"{nowhere}: no such folder: `nas-incep data cifar10 --data-dir {nowhere}` downloads "
        "CIFAR-10 into it"
    )


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    archive = write_archive(tmp_path)
    assert fault("cifar10", archive) == (
        f"{archive}: not a folder: name the folder that CIFAR-10 lies in"
    )


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_cifar10(tmp_path / "mine")
    assert len(load("cifar10", Path("~/mine"), 30).train.labels) == 70
    assert fault("cifar10", Path("~no such user")).startswith("~no such user: no such folder")


# Names.


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("CIFAR10", "cifar10"),
        ("cifar-10", "cifar10"),
        ("CIFAR-10", "cifar10"),
        ("cifar_100", "cifar100"),
        ("FashionMNIST", "fashion_mnist"),
        ("fashion-mnist", "fashion_mnist"),
        ("Digits", "digits"),
    ],
)
def test_usual_spellings_are_known(spelled: str, name: str) -> None:
    assert dataset_info(spelled) is DATASETS[name]


def test_the_title_is_a_spelling_of_the_name() -> None:
    for info in DATASETS.values():
        if info.train_files:
            assert dataset_info(info.title) is info


def test_the_spelling_changes_no_fingerprint(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    found = {load(name, tmp_path, 30).fingerprint for name in ("cifar10", "CIFAR-10")}
    assert len(found) == 1
    assert np.array_equal(load_test("DIGITS").images, load_test("digits").images)


# The command.


def said(*arguments: str) -> str:
    done = CliRunner().invoke(data_command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_the_command_lists_what_there_is() -> None:
    assert [line.split()[0] for line in said().splitlines()] == list(DATASETS)


def test_the_command_has_nothing_to_download_for_the_digits() -> None:
    assert said("Digits") == "digits: comes with nas_incep, there is nothing to download\n"
