"""Downloading data sets: into place only once they are whole and proven by their sums."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import requests

from ..errors import InputError
from .files import contents_sha1, default_folder, find_file, find_folder, read_contents
from .registry import DATASETS, OFFICIAL_SHA1, DatasetInfo, dataset_info

Progress = Callable[[int, "int | None"], None]  # bytes received so far, bytes in all if known

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0  # of silence, not of the whole download
BLOCK_BYTES = 1 << 18


@dataclass(frozen=True)
class Archive:
    """A file to download: a .tar.gz to take files out of, or a file to keep as it is."""

    title: str  # of the data set
    name: str  # the last part of each address
    bases: tuple[str, ...]  # the addresses without the name, the first choice first
    # The files it yields, with the SHA-1 sums of their contents. They prove a file from any
    # source, whereas the sum of the archive differs between the official server and MXNet's.
    sha1: Mapping[str, str]


_TORONTO = "https://www.cs.toronto.edu/~kriz"
_MXNET = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset"
# MXNet's copy of Fashion-MNIST is no second source: it is the edition that the authors replaced.
_FASHION = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
)


def _archive(info: DatasetInfo, name: str, bases: tuple[str, ...], *files: str) -> Archive:
    return Archive(info.title, name, bases, {file: OFFICIAL_SHA1[file] for file in files})


def _cifar(info: DatasetInfo, name: str) -> Archive:
    bases = (_TORONTO, f"{_MXNET}/{info.mxnet_folder}")
    return _archive(info, name, bases, *info.train_files, *info.test_files)


def _fashion(info: DatasetInfo) -> tuple[Archive, ...]:
    return tuple(_archive(info, f, _FASHION, f) for f in info.train_files + info.test_files)


ARCHIVES: dict[str, tuple[Archive, ...]] = {
    "cifar10": (_cifar(DATASETS["cifar10"], "cifar-10-binary.tar.gz"),),
    "cifar100": (_cifar(DATASETS["cifar100"], "cifar-100-binary.tar.gz"),),
    "fashion_mnist": _fashion(DATASETS["fashion_mnist"]),
}


def download(
    name: str,
    data_dir: Path | None = None,
    mirror: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Makes sure that the official files of a data set lie in a folder, and returns the folder.

    Nothing is downloaded that is already there and whole; `find_whole` tells beforehand.
    `mirror` is the address of a folder with the same archives, tried first.
    """
    info = dataset_info(name)
    if name not in ARCHIVES:
        raise InputError(f"{name} ships with scikit-learn: nothing to download")
    whole = find_whole(name, data_dir)
    if whole is not None:
        return whole
    target = find_folder(info, data_dir)
    if target is None or str(target) == info.system_folder:
        target = default_folder(info) if data_dir is None else data_dir.expanduser()
    for archive in ARCHIVES[name]:
        if mirror is not None:
            archive = replace(archive, bases=(mirror, *archive.bases))
        fetch_archive(archive, target, progress=progress)
    return target


def find_whole(name: str, data_dir: Path | None = None) -> Path | None:
    """The folder that already holds all official files of a data set, if there is one."""
    if name not in ARCHIVES:
        return None
    folder = find_folder(dataset_info(name), data_dir)
    if folder is None or not all(_is_whole(archive, folder) for archive in ARCHIVES[name]):
        return None
    return folder


def fetch_archive(
    archive: Archive,
    target: Path,
    progress: Progress | None = None,
    tries: int = 2,
    pause_seconds: float = 1.0,
) -> None:
    """Downloads an archive and moves its files into the folder `target`, unless they are there.

    Each file appears in one step, whole. Other files of the same names are never overwritten.
    """
    if _is_whole(archive, target):
        return
    for file, expected in archive.sha1.items():
        _refuse_other(target, file, expected)
    try:
        target.mkdir(parents=True, exist_ok=True)
        # Inside the target, so that the last step is a rename and not a copy.
        temporary = tempfile.TemporaryDirectory(prefix=".download-", dir=target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written to: {error.strerror}") from None
    with temporary as folder_name:
        folder = Path(folder_name)
        faults = []
        for base in archive.bases:
            address = f"{base.rstrip('/')}/{archive.name}"
            fault = _receive(address, folder / archive.name, progress, tries, pause_seconds)
            fault = fault or _unpack(archive, folder) or _check(archive, folder)
            if fault is None:
                break
            faults.append(f"{address} ({fault})")
        else:
            raise InputError(
                f"{archive.title} could not be downloaded from {' or '.join(faults)}: get "
                f"{', '.join(archive.sha1)} by other means and put that into {target}"
            )
        for file in archive.sha1:
            os.replace(folder / file, target / file)


def _is_whole(archive: Archive, folder: Path) -> bool:
    return all(_found_sha1(folder, file) == expected for file, expected in archive.sha1.items())


def _found_sha1(folder: Path, file: str) -> str | None:
    """The SHA-1 sum of the contents of a file; None where there is none that can be read."""
    path = find_file(folder, file)
    try:
        return None if path is None else contents_sha1(read_contents(path))
    except InputError:
        return None


def _refuse_other(target: Path, file: str, expected: str) -> None:
    path = find_file(target, file)
    if path is not None and _found_sha1(target, file) != expected:
        raise InputError(
            f"{path}: differs from the official file, and files already there are never "
            "overwritten: move it away, or name another folder"
        )


def _receive(
    address: str, path: Path, progress: Progress | None, tries: int, pause_seconds: float
) -> str | None:
    """Downloads one address to `path`. Returns the reason, in a few words, if that fails."""
    fault = None
    for attempt in range(tries):
        if attempt:
            time.sleep(pause_seconds)
        try:
            fault = _receive_once(address, path, progress)
        except requests.RequestException as error:
            fault = _short_reason(error)
            if isinstance(error, ValueError):  # not an address: trying again is useless
                return fault
        # An answer below 500 is the server's considered one.
        if fault is None or fault.startswith("HTTP 4"):
            return fault
    return fault


def _receive_once(address: str, path: Path, progress: Progress | None) -> str | None:
    with requests.get(
        address,
        stream=True,
        timeout=(CONNECT_SECONDS, READ_SECONDS),
        # Some servers declare a .gz file as an encoding, and it would arrive unpacked.
        headers={"Accept-Encoding": "identity"},
    ) as response:
        if response.status_code != 200:
            return f"HTTP {response.status_code}"
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        received = 0
        with open(path, "wb") as file:
            for block in response.iter_content(BLOCK_BYTES):
                file.write(block)
                received += len(block)
                if progress is not None:
                    progress(received, total)
    if total is not None and received != total:
        return f"broke off after {received} of {total} bytes"
    return None


def _short_reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate was not accepted"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy refused"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, ValueError):
        return "not an address that can be asked"
    return type(error).__name__


def _unpack(archive: Archive, folder: Path) -> str | None:
    """Takes the expected files out of the archive in `folder`, into `folder`, and no others.

    Only the last part of a member's name counts, so no member can lead out of the folder.
    """
    if not archive.name.endswith(".tar.gz"):
        return None
    try:
        with tarfile.open(folder / archive.name, "r:gz") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                content = tar.extractfile(member) if member.isfile() else None
                if name in archive.sha1 and content is not None:
                    with open(folder / name, "wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        # A fault of the disk is not one of the archive; gzip's own errors carry no number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        return f"not a whole .tar.gz file: {error}"
    return None


def _check(archive: Archive, folder: Path) -> str | None:
    for file, expected in archive.sha1.items():
        path = folder / file
        if not path.is_file():
            return f"it lacks {file}"
        try:
            found = contents_sha1(read_contents(path))
        except InputError:
            return "not a whole gzip file"
        if found != expected:
            return f"the SHA-1 sum of the contents of {file} is {found}, expected {expected}"
    return None
