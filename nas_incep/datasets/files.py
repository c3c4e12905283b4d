"""Finding the files of data sets, either in a folder or in the official archive."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from .contents import read_contents, read_members
from .registry import OFFICIAL_FILES, DatasetInfo


def mxnet_home() -> Path | None:
    """MXNet's own folder; None without a home folder."""
    home = os.environ.get("MXNET_HOME")
    try:
        return Path(home) if home else Path.home() / ".mxnet"
    except (RuntimeError, KeyError):  # a user unknown to the system; the latter on Python 3.9
        return None


def default_folder(info: DatasetInfo) -> Path:
    """Where MXNet keeps the files of a data set. Raises InputError without a home folder."""
    root = mxnet_home()
    if root is None:
        raise InputError(
            f"{info.title}: there is no home folder to look in: give --data-dir, or set MXNET_HOME"
        )
    return root / "datasets" / info.mxnet_folder


def users_folder(data_dir: Path) -> Path:
    """The folder that the user named, with `~` for the home folder."""
    return Path(os.path.expanduser(data_dir))


def candidate_folders(info: DatasetInfo, data_dir: Path | None = None) -> list[Path]:
    """The folders in which the files of a data set may be, in order of preference."""
    if data_dir is None:
        roots = [default_folder(info)]
    else:
        data_dir = users_folder(data_dir)
        roots = [data_dir, *(data_dir / name for name in info.subfolders)]
    folders = []
    for root in roots:
        folders.append(root)
        if info.archive_folder:
            folders.append(root / info.archive_folder)
    if data_dir is None and info.system_folder:
        folders.append(Path(info.system_folder))
    return folders


def find_folder(info: DatasetInfo, data_dir: Path | None = None) -> Path | None:
    """The first of the `candidate_folders` that holds at least one file of the data set."""
    files = info.train_files + info.test_files
    for folder in candidate_folders(info, data_dir):
        if any(find_file(folder, name) for name in files):
            return folder
    return None


def find_file(folder: Path, name: str) -> Path | None:
    """The file with that name in a folder; instead of a .gz file, also the unpacked file."""
    try:
        present = {entry.name for entry in folder.iterdir()}
    except OSError:
        return None
    for spelling in (name, name.removesuffix(".gz")):
        if spelling in present:
            return folder / spelling
    return None


def find_source(info: DatasetInfo, data_dir: Path | None, names: Sequence[str]) -> Path | None:
    """The folder that holds all the named files, or else the official archive, or None."""
    folder = find_folder(info, data_dir)
    if folder is not None and all(find_file(folder, name) for name in names):
        return folder
    if not info.archive:
        return None
    archives = (folder / info.archive for folder in candidate_folders(info, data_dir))
    return next((path for path in archives if path.is_file()), None)


def read_files(info: DatasetInfo, data_dir: Path | None, names: Sequence[str]) -> dict[Path, bytes]:
    """The contents of the named files by their paths, in the order of `names`.

    No other file of the data set is opened; in an archive, the others are skipped. Raises
    InputError if one is missing or cannot be read.
    """
    if data_dir is not None:
        _check_folder(info, users_folder(data_dir))
    source = find_source(info, data_dir, names)
    if source is None:
        raise InputError(_absence(info, data_dir, names))
    if source.is_file():
        return _read_archive(info, source, names)
    paths = {name: find_file(source, name) for name in names}
    return {
        path: read_contents(path, OFFICIAL_FILES[name].size)
        for name, path in paths.items()
        if path is not None
    }


def official_sizes(info: DatasetInfo) -> dict[str, int]:
    """The size of each official file of a data set in bytes, unpacked."""
    return {name: OFFICIAL_FILES[name].size for name in info.train_files + info.test_files}


def _read_archive(info: DatasetInfo, path: Path, names: Sequence[str]) -> dict[Path, bytes]:
    contents = dict(read_members(path, official_sizes(info), names))
    missing = [name for name in names if name not in contents]
    if missing:
        raise InputError(
            f"{path}: {', '.join(missing)} not in it, but {info.title} needs {', '.join(names)}"
        )
    return {path / name: contents[name] for name in names}


def _check_folder(info: DatasetInfo, folder: Path) -> None:
    if os.path.isdir(folder):
        return
    if os.path.exists(folder):
        raise InputError(f"{folder}: not a folder: name the folder that {info.title} lies in")
    raise InputError(
        f"{folder}: no such folder: `nas-incep data {info.name} --data-dir {folder}` downloads "
        f"{info.title} into it"
    )


def _absence(info: DatasetInfo, data_dir: Path | None, names: Sequence[str]) -> str:
    """Why the named files cannot be read, and what to do."""
    command = f"`nas-incep data {info.name}`"
    here = "" if data_dir is None else ", with the same --data-dir to the same place"
    folder = find_folder(info, data_dir)
    if folder is not None:
        missing = [name for name in names if find_file(folder, name) is None]
        return (
            f"{folder}: {', '.join(missing)} not there, but {info.title} needs "
            f"{', '.join(names)}: {command} downloads what is missing{here}"
        )
    folders = candidate_folders(info, data_dir)
    pickles = _find_pickles(info, folders)
    if pickles is not None:
        return (
            f"{pickles}: the Python version of {info.title}, which is never read, because "
            f"unpickling can run any code: {command} downloads the binary version{here}, or put "
            f"{info.archive} beside it"
        )
    return (
        f"{info.title} is in none of the folders searched ({', '.join(map(str, folders))}): "
        f"{command} downloads it{here}"
    )


def _find_pickles(info: DatasetInfo, folders: Sequence[Path]) -> Path | None:
    """The pickled version for Python: in one of the folders, or the user's folder itself."""
    if folders[0].name in info.pickles and folders[0].is_dir():
        return folders[0]
    paths = (folder / name for folder in folders for name in info.pickles)
    return next((path for path in paths if os.path.exists(path)), None)
