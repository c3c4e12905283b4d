"""Reading and writing small files so that a crash never leaves an incomplete one."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import itertools
import json
import lzma
import math
import os
import shutil
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from .errors import InputError

MAX_TEXT = 64 << 20  # bytes of a text file that the user names
# Bytes of one in a folder that someone else may have made; a record of 20,000 epochs is smaller.
# Parsed JSON can take twenty times its size.
MAX_FOREIGN_TEXT = 8 << 20
MAX_DEPTH = 64  # levels of lists and objects in JSON
PICTURE_FORMATS = ("png", "svg", "pdf")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def naming(path: Path, *aliases: Path) -> Iterator[None]:
    """Makes an OSError of the block name the file that is written, `path`.

    The system names no file where a write fails, Python the source of a copy, and a temporary file
    (one of `aliases`) tells users nothing.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        is_ours = error.filename is None or Path(os.fsdecode(error.filename)) in aliases
        if is_ours or error.errno in _FULL:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def free_damaged_name(path: Path) -> Path:
    """The path under which a damaged file is set aside; nothing is there."""
    return free_name(path, ".damaged")


def free_name(path: Path, ending: str) -> Path:
    """The path with an ending, numbered if necessary, under which nothing is."""
    names = (f"{path.name}{ending}{number or ''}" for number in itertools.count())
    return next(free for name in names if not os.path.lexists(free := path.with_name(name)))


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path whose file is renamed to `path` if the block raises nothing.

    The folder is created, but not the one it is in: a run that was moved away is not begun anew.
    """
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)  # it may be a link that leads elsewhere
    try:
        with naming(path, temporary):
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def picture_format(path: Path) -> str:
    """The format given by a picture's file name: png, svg or pdf. Raises InputError for others."""
    kind = path.suffix.lower().lstrip(".")
    if kind not in PICTURE_FORMATS:
        known = ", ".join(f".{name}" for name in PICTURE_FORMATS)
        raise InputError(f"{path}: a picture's name ends in one of {known}")
    return kind


def write_json(path: Path, value: object) -> None:
    """Writes a JSON file atomically: readers see the old file or the new one."""
    # The text of json.dumps(value, indent=1), which encodes in Python and takes far longer.
    text = msgspec.json.format(json.dumps(value, allow_nan=False), indent=1)
    with atomic_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def open_regular(path: Path, flags: int = os.O_RDONLY, limit: int | None = None) -> IO[bytes]:
    """Opens a regular file in binary mode; never follows a link or waits on a FIFO.

    `flags` are those of os.open. Raises InputError if it is not a regular file, has more than
    `limit` bytes, or cannot be opened.
    """
    # Checked first, because merely opening a device can have effects.
    check_regular(path)
    try:
        # What is opened is checked again below: it may have been put there in between.
        number = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except (OSError, ValueError) as error:
        raise _cannot_be_read(path, error) from None
    file = os.fdopen(number, "rb" if flags & os.O_ACCMODE == os.O_RDONLY else "wb")
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise InputError(f"{path}: a regular file is expected")
    if limit is not None and status.st_size > limit:
        file.close()
        raise InputError(f"{path}: has {status.st_size:,} bytes, at most {limit:,} are expected")
    return file


def check_regular(path: Path) -> None:
    """Raises InputError if something is there that is no regular file; follows no link."""
    kind = _kind(path)
    if kind not in ("", "a file"):
        raise InputError(f"{path}: a regular file is expected, this is {kind}")


def check_folder(path: Path) -> None:
    """Raises InputError if something is there that is no folder; follows no link."""
    kind = _kind(path)
    if kind not in ("", "a folder"):
        raise InputError(f"{path}: a folder is expected, this is {kind}")


def _kind(path: Path) -> str:
    """What a path is, as a phrase; empty if nothing is there."""
    try:
        mode = os.lstat(path).st_mode
    except (OSError, ValueError):
        return ""
    kinds = (
        (stat.S_ISREG, "a file"),
        (stat.S_ISLNK, "a link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a FIFO"),
    )
    return next((name for is_kind, name in kinds if is_kind(mode)), "a device or socket")


def _cannot_be_read(path: Path, error: OSError | ValueError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file")
    if isinstance(error, OSError):
        return InputError(f"{path}: cannot be read: {error.strerror}")
    return InputError(f"{str(path)!r}: cannot be read: {error}")  # a null byte in the path


def copy_regular(source: Path, target: Path, limit: int | None = None) -> None:
    """Copies a regular file to a new one. Raises InputError as `open_regular` does."""
    with naming(target), open_regular(source, limit=limit) as file, open(target, "xb") as copy:
        shutil.copyfileobj(file, copy)


def append_line(path: Path, line: str) -> None:
    """Appends a line to a regular file, which is created if it is missing.

    Raises InputError as `open_regular` does.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    with naming(path), open_regular(path, flags) as file:
        file.write(f"{line}\n".encode())


def read_text(path: Path, regular: bool = False) -> str:
    """The text of a UTF-8 file of at most 64 MB, with Unix line endings.

    Files that users name may be links and FIFOs (a shell's `<(...)`). `regular` refuses those, and
    files of more than 8 MB; it is for folders that someone else may have made. Raises InputError,
    naming the file.
    """
    limit = MAX_FOREIGN_TEXT if regular else MAX_TEXT
    try:
        with open_regular(path) if regular else open(path, "rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise InputError(f"{path}: is larger than the {limit >> 20} MB that are expected")
        return io.StringIO(data.decode("utf-8"), newline=None).read()
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file (UTF-8 expected)") from None
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise _cannot_be_read(path, error) from None


def read_packed_json(path: Path) -> Any:
    """The value of a JSON file, which is xz-packed if its name says so. Raises InputError."""
    if path.suffix != ".xz":
        return read_json(path)
    unpacker = lzma.LZMADecompressor()
    try:
        with open(path, "rb") as file:
            packed = file.read(MAX_TEXT)
        text = unpacker.decompress(packed, max_length=MAX_TEXT + 1)
        if len(text) > MAX_TEXT:
            raise InputError(f"{path}: unpacks to more than the {MAX_TEXT >> 20} MB expected")
        if not unpacker.eof:
            raise InputError(f"{path}: is not a whole xz file")
        return parse_json(text.decode("utf-8"), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except lzma.LZMAError as error:
        raise InputError(f"{path}: not an xz file: {error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file (UTF-8 expected)") from None


def parse_json(text: str, source: str) -> Any:
    """The value of a JSON text. Raises InputError, naming `source`, if the text is invalid.

    Stricter than the standard library: also invalid are a repeated key, NaN, a number too large for
    a float, and lists and objects nested more than 64 levels deep.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            twice = min(key for key, count in counts.items() if count > 1)
            raise InputError(f"{source}: key {twice[:80]!r} is given twice")
        return found

    def no_constant(name: str) -> None:
        raise InputError(f"{source}: {name} is not a JSON number")

    def finite(number: str) -> float:
        value = float(number)
        if math.isinf(value):
            raise InputError(f"{source}: {number[:40]} is too large a number")
        return value

    try:
        value = json.loads(
            text, object_pairs_hook=unique, parse_constant=no_constant, parse_float=finite
        )
    except json.JSONDecodeError as error:
        raise InputError(
            f"{source}: not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except RecursionError:
        raise InputError(f"{source}: not valid JSON: nested too deeply") from None
    except InputError:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise InputError(f"{source}: not valid JSON: {error}") from None
    if _is_deeper(value, MAX_DEPTH):
        raise InputError(f"{source}: nested too deeply: at most {MAX_DEPTH} levels are expected")
    return value


def _is_deeper(value: Any, depth: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    items = value.values() if isinstance(value, dict) else value
    nested = [item for item in items if isinstance(item, (dict, list))]
    return depth == 0 or any(_is_deeper(item, depth - 1) for item in nested)


def read_json(path: Path, regular: bool = False) -> Any:
    """The value of a JSON file; `regular` as in `read_text`.

    Raises InputError, naming the file, if it cannot be read or is invalid.
    """
    return parse_json(read_text(path, regular), str(path))


def sha256(path: Path, limit: int | None = None) -> str:
    """The SHA-256 sum of a regular file, in hexadecimal.

    Raises InputError as `open_regular` does.
    """
    digest = hashlib.sha256()
    with open_regular(path, limit=limit) as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def is_locked(file: IO[str]) -> bool:
    """Whether another process holds the lock of an open file."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
