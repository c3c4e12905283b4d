"""Downloading data sets: files appear only when they are complete and their checksums match."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError
from .contents import PACKING_BYTES, contents_sha1, read_contents, read_members
from .files import default_folder, find_file, find_folder, find_source, users_folder
from .receive import DownloadFailed, Progress, receive
from .registry import (
    CIFAR10,
    CIFAR100,
    FASHION_MNIST,
    OFFICIAL_FILES,
    DatasetInfo,
    OfficialFile,
    dataset_info,
)


@dataclass(frozen=True)
class Archive:
    """A file to download: a .tar.gz archive to extract files from, or a file to keep as it is."""

    title: str  # of the data set
    name: str  # the last part of each address
    bases: tuple[str, ...]  # the addresses without the name, in order of preference
    # The files it contains. The checksums of their contents verify a file from any source, whereas
    # the official server and MXNet's have different archives.
    files: Mapping[str, OfficialFile]

    @property
    def sizes(self) -> dict[str, int]:
        return {name: file.size for name, file in self.files.items()}

    @property
    def max_bytes(self) -> int:
        return sum(self.sizes.values()) + PACKING_BYTES


_TORONTO = "https://www.cs.toronto.edu/~kriz"
_MXNET = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset"
# MXNet's copy of Fashion-MNIST cannot serve as a source: its authors have replaced that edition.
_FASHION = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
)


def _archive(info: DatasetInfo, name: str, bases: tuple[str, ...], *files: str) -> Archive:
    return Archive(info.title, name, bases, {file: OFFICIAL_FILES[file] for file in files})


def _cifar(info: DatasetInfo) -> tuple[Archive, ...]:
    bases = (_TORONTO, f"{_MXNET}/{info.mxnet_folder}")
    return (_archive(info, info.archive, bases, *info.train_files, *info.test_files),)


def _fashion(info: DatasetInfo) -> tuple[Archive, ...]:
    return tuple(_archive(info, f, _FASHION, f) for f in info.train_files + info.test_files)


ARCHIVES: dict[str, tuple[Archive, ...]] = {
    "cifar10": _cifar(CIFAR10),
    "cifar100": _cifar(CIFAR100),
    "fashion_mnist": _fashion(FASHION_MNIST),
}


def download(
    name: str,
    data_dir: Path | None = None,
    mirror: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make sure that the official files of a data set are present, and return where.

    Complete files are not downloaded again; `find_whole` tells beforehand. `mirror` is the URL of a
    folder with the same archives, tried first. Raises InputError if a download fails or other files
    have the official names.
    """
    info = dataset_info(name)
    if info.name not in ARCHIVES:
        raise InputError(f"{info.name} ships with nas_incep: nothing to download")
    whole = find_whole(name, data_dir)
    if whole is not None:
        return whole
    target = find_folder(info, data_dir)
    if target is None or str(target) == info.system_folder:
        target = default_folder(info) if data_dir is None else users_folder(data_dir)
    for archive in ARCHIVES[info.name]:
        if mirror is not None:
            archive = replace(archive, bases=(mirror, *archive.bases))
        fetch_archive(archive, target, progress=progress)
    return target


def find_whole(name: str, data_dir: Path | None = None) -> Path | None:
    """The folder or archive that already holds all official files, or None."""
    info = dataset_info(name)
    archives = ARCHIVES.get(info.name, ())
    source = find_source(info, data_dir, [file for archive in archives for file in archive.files])
    if source is None:
        return None
    is_whole = _is_whole_archive if source.is_file() else _is_whole
    return source if all(is_whole(archive, source) for archive in archives) else None


def fetch_archive(archive: Archive, target: Path, progress: Progress | None = None) -> None:
    """Download an archive and move its files into the folder `target`, unless they are there.

    Each file appears atomically. Other files with the same names are never overwritten. Raises
    InputError if there are such files or no address yields the official ones.
    """
    if _is_whole(archive, target):
        return
    for name in archive.files:
        _refuse_other(archive, target, name)
    try:
        target.mkdir(parents=True, exist_ok=True)
        # Inside the target folder, so that the last step is a rename and not a copy.
        temporary = tempfile.TemporaryDirectory(prefix=".download-", dir=target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written to: {error.strerror}") from None
    with temporary as folder_name:
        folder = Path(folder_name)
        faults = []
        for base in archive.bases:
            address = f"{base.rstrip('/')}/{archive.name}"
            try:
                receive(address, folder / archive.name, archive.max_bytes, progress)
                _unpack(archive, folder)
                break
            except DownloadFailed as fault:
                faults.append(f"{address} ({fault})")
        else:
            raise InputError(
                f"{archive.title} could not be downloaded from {' or '.join(faults)}: get "
                f"{', '.join(archive.files)} by other means and put that into {target}"
            )
        for name in archive.files:
            os.replace(folder / name, target / name)


def _is_whole(archive: Archive, folder: Path) -> bool:
    return all(_is_official(archive, find_file(folder, name), name) for name in archive.files)


def _is_official(archive: Archive, path: Path | None, name: str) -> bool:
    file = archive.files[name]
    try:
        return path is not None and contents_sha1(read_contents(path, file.size)) == file.sha1
    except InputError:
        return False


def _is_whole_archive(archive: Archive, path: Path) -> bool:
    try:
        members = read_members(path, archive.sizes, archive.files)
        found = {name: contents_sha1(contents) for name, contents in members}
    except InputError:
        return False
    return found == {name: file.sha1 for name, file in archive.files.items()}


def _refuse_other(archive: Archive, target: Path, name: str) -> None:
    path = find_file(target, name)
    if path is not None and not _is_official(archive, path, name):
        raise InputError(
            f"{path}: differs from the official file, and files already there are never "
            "overwritten: move it away, or name another folder"
        )


def _unpack(archive: Archive, folder: Path) -> None:
    """Extract the official files from the archive in `folder` and check them."""
    packed = folder / archive.name
    try:
        if archive.name.endswith(".tar.gz"):
            for name, contents in read_members(packed, archive.sizes, archive.files):
                (folder / name).write_bytes(contents)
        for name, file in archive.files.items():
            _check(folder / name, file)
    except InputError as error:
        reason = str(error).removeprefix(f"{packed}: ").removeprefix(f"{packed}{os.sep}")
        raise DownloadFailed(reason) from None


def _check(path: Path, file: OfficialFile) -> None:
    if not path.is_file():
        raise DownloadFailed(f"it lacks {path.name}")
    found = contents_sha1(read_contents(path, file.size))
    if found != file.sha1:
        raise DownloadFailed(
            f"the SHA-1 sum of the contents of {path.name} is {found}, expected {file.sha1}"
        )
