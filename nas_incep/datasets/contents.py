"""The contents of files and archives, never unpacked beyond their known size."""

from __future__ import annotations

import gzip
import hashlib
import stat
import tarfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ..errors import InputError

# What packing may add: headers, padding, and short text files next to the data.
PACKING_BYTES = 1 << 20


def read_contents(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file, unpacked if it ends in .gz.

    Raises InputError, naming the file, if it cannot be read or holds more than `max_bytes`.
    """
    packed = path.suffix == ".gz"
    with _open_regular(path, max_bytes + (PACKING_BYTES if packed else 0)) as file:
        stream = gzip.GzipFile(fileobj=file) if packed else file
        try:
            # One byte more than allowed, to detect a larger file without unpacking it.
            contents = stream.read(max_bytes + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise _unreadable(path, error, "not a whole gzip file") from None
    if len(contents) > max_bytes:
        raise _too_large(path, max_bytes)
    return contents


def read_members(
    path: Path, sizes: Mapping[str, int], names: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files called `names` in a .tar.gz archive, in the archive's order.

    `sizes` has the maximum bytes of every file that the archive may hold, wanted or not. Only the
    last part of a member's name counts. Links, devices and sparse files are skipped. Raises
    InputError, naming the archive, if it is incomplete or holds more than that.
    """
    limit = sum(sizes.values()) + PACKING_BYTES
    with _open_regular(path, limit) as file, gzip.GzipFile(fileobj=file) as unpacked:
        stream = _ForwardReader(path, unpacked, limit)
        try:
            with tarfile.open(fileobj=stream, mode="r:") as tar:  # type: ignore[call-overload]
                for member in iter(tar.next, None):
                    tar.members = []  # otherwise it grows with every member, wanted or not
                    name = PurePosixPath(member.name).name
                    if name not in names or not member.isfile() or member.issparse():
                        continue
                    if member.size > sizes[name]:
                        raise _too_large(path / name, sizes[name])
                    stream.seek(member.offset_data)
                    yield name, stream.read_data(member.size)
            # gzip's checksum comes after the last member.
            stream.skip_rest()
        except InputError:
            raise
        # For some invalid headers tarfile raises the errors of int() or of a deep recursion.
        except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, RecursionError) as e:
            raise _unreadable(path, e, f"not a whole .tar.gz file: {e}") from None


def contents_sha1(contents: bytes) -> str:
    """The SHA-1 sum, as in OFFICIAL_FILES; it detects accidents and need not stop attackers."""
    return hashlib.sha1(contents, usedforsecurity=False).hexdigest()


class _ForwardReader:
    """The part of a stream up to `limit`: without steps back, so that tarfile must come to an end.

    tarfile reads nothing but headers from it, which it unfolds to many times their size.
    """

    def __init__(self, path: Path, stream: gzip.GzipFile, limit: int) -> None:
        self.path, self.stream, self.limit = path, stream, limit
        self.header_bytes = 0

    def tell(self) -> int:
        return self.stream.tell()

    def seek(self, position: int) -> int:
        if position < self.tell():
            raise tarfile.ReadError("a member begins inside another one")
        self._check(position)
        return self.stream.seek(position)

    def read(self, size: int) -> bytes:
        self._check(self.tell() + size)
        self.header_bytes += size
        if self.header_bytes > PACKING_BYTES:
            raise tarfile.ReadError(f"its headers alone take more than {PACKING_BYTES:,} bytes")
        return self.stream.read(size)

    def read_data(self, size: int) -> bytes:
        self._check(self.tell() + size)
        data = self.stream.read(size)
        if len(data) != size:
            raise tarfile.ReadError("unexpected end of data")
        return data

    def skip_rest(self) -> None:
        while self.stream.read(1 << 16):
            self._check(self.tell())

    def _check(self, position: int) -> None:
        if position > self.limit:
            raise _too_large(self.path, self.limit)


def _open_regular(path: Path, max_bytes: int) -> BinaryIO:
    """Open a regular file for reading; a pipe or a device might block or never end."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: cannot be read: not a regular file")
        if status.st_size > max_bytes:
            raise _too_large(path, max_bytes)
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error, "") from None


def _unreadable(path: Path, error: Exception, fault: str) -> InputError:
    # A disk error does not mean an invalid file; gzip's own errors have no errno.
    if isinstance(error, OSError) and error.errno is not None:
        return InputError(f"{path}: cannot be read: {error.strerror}")
    return InputError(f"{path}: {fault}")


def _too_large(path: Path, max_bytes: int) -> InputError:
    return InputError(
        f"{path}: too large: it holds more than {max_bytes:,} bytes, and the official one does not"
    )
