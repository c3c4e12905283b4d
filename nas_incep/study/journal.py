"""A study in a file on a local disk, for any number of processes on one machine."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, cast

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from .._files import atomic_file, free_damaged_name, naming, open_regular
from ..errors import InputError
from .entries import read_entries
from .locks import JournalLock

log = logging.getLogger(__name__)

FIRST_BYTES = b'{"op_code":'  # of every line that this package or Optuna writes
REMEDY = "repeat the search's command, which makes the study again from the records"
_REPLACED = "was removed, cut or replaced while it was in use"
MAX_TAIL = 1 << 20  # bytes; a longer incomplete line is none that a crash left


class StudyDamaged(InputError):
    """A journal that holds no usable study, or not the one that its run's records tell of."""


class JournalFile(JournalFileBackend):
    """A journal that skips lines that are not Optuna's, and removes an incomplete last one.

    A crash or a full disk leaves an incomplete line while other workers may go on writing. Optuna
    would append the next line to it and could never read past the two again.
    """

    def __init__(self, path: Path, lock: JournalLock) -> None:
        """Raises StudyDamaged if the path leads to anything but a regular file."""
        self.skipped = 0  # lines
        self._path, self._writers = path, lock
        self._identity: tuple[int, int] | None = None
        self._held: list[dict[str, Any]] | None = None  # to be appended later
        self._ends = [0]  # the position after so many entries, and after what follows and is none
        if os.path.lexists(path):
            try:
                open_regular(path).close()
            except InputError as error:
                raise StudyDamaged(str(error)) from None
        super().__init__(str(path), lock_obj=cast(Any, lock))
        with lock, self._opened(os.O_RDWR) as file:
            _mend_tail(file)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        with self._opened() as file:
            del self._ends[log_number_from + 1 :]
            file.seek(self._ends[log_number_from])
            for entry, position in read_entries(file, os.fstat(file.fileno()).st_size):
                if entry is None:
                    self._ends[-1] = position
                    self.skipped += 1
                    log.warning("%s: a line before byte %d is skipped", self._path, position)
                else:
                    self._ends.append(position)
                    yield entry

    @contextmanager
    def together(self) -> Iterator[None]:
        """Appends in one write, after the block, all that the block appends."""
        held: list[dict[str, Any]] = []
        self._held = held
        try:
            yield
        finally:
            self._held = None
        if held:
            self.append_logs(held)

    def append_logs(self, logs: Sequence[dict[str, Any]]) -> None:
        if self._held is not None:
            self._held.extend(logs)
            return
        content = lines_of(logs)
        with naming(self._path), self._writers, self._opened(os.O_RDWR | os.O_APPEND) as file:
            _mend_tail(file)
            try:
                while content:
                    content = content[file.write(content) or 0 :]
                os.fsync(file.fileno())
            except BaseException:
                _mend_tail(file)
                raise

    def _opened(self, flags: int = os.O_RDONLY) -> IO[bytes]:
        """Opens the file without a buffer. Raises StudyDamaged if it is not the same any more."""
        try:
            number = os.open(self._path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self.damaged(_REPLACED) from None
        file = os.fdopen(number, "rb" if flags == os.O_RDONLY else "r+b", buffering=0)
        status = os.fstat(number)
        identity = status.st_dev, status.st_ino
        if self._identity not in (None, identity) or status.st_size < self._ends[-1]:
            file.close()
            raise self.damaged(_REPLACED)
        self._identity = identity
        return file

    def damaged(self, how: str) -> StudyDamaged:
        return StudyDamaged(f"{self._path}: {how}; {REMEDY}")


class FileStorage(JournalStorage):
    """Optuna's storage of a journal, which shows the journal's file."""

    def __init__(self, file: JournalFile) -> None:
        self.file = file
        super().__init__(file)

    def get_all_trials(self, study_id: int, *arguments: Any, **options: Any) -> list[FrozenTrial]:
        with self._of_study():
            return super().get_all_trials(study_id, *arguments, **options)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        with self._of_study():
            return super().create_new_trial(study_id, template_trial)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        with self._of_study():
            return super().get_study_user_attrs(study_id)

    @contextmanager
    def _of_study(self) -> Iterator[None]:
        try:
            yield
        except KeyError:
            raise self.file.damaged("the study was deleted by another program") from None


def together(storage: BaseStorage) -> AbstractContextManager[None]:
    """Within the block a journal is not written to; after it, once. Databases write at once."""
    return storage.file.together() if isinstance(storage, FileStorage) else nullcontext()


def lines_of(logs: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()


def _mend_tail(file: IO[bytes]) -> None:
    """Removes the last line if it is incomplete, and seeks to the end.

    What is not the beginning of one of Optuna's lines is kept, as a line that will be skipped.
    """
    end = position = file.seek(0, os.SEEK_END)
    last = b""
    while position and b"\n" not in last and end - position < MAX_TAIL:
        position = max(0, position - 4096)
        file.seek(position)
        last = file.read(min(4096, end - position))
    whole = position + last.rfind(b"\n") + 1
    if whole == end:
        return
    file.seek(whole)
    first = file.read(len(FIRST_BYTES))
    if end - whole < MAX_TAIL and FIRST_BYTES.startswith(first[: end - whole]):
        file.truncate(whole)
        file.seek(whole)
    else:
        file.seek(end)
        file.write(b"\n")


def open_journal(journal: Path) -> FileStorage:
    """Opens or creates the journal at that path, with its lock file beside it.

    Raises StudyDamaged if its lines contradict one another.
    """
    file = JournalFile(journal, JournalLock(journal))
    try:
        with quiet():
            return FileStorage(file)
    except (OSError, InputError, MemoryError):
        raise
    except Exception as error:  # Optuna checks nothing of what it reads
        raise StudyDamaged(
            f"{journal}: its lines contradict one another: {type(error).__name__} {error}"
        ) from None


def replace_journal(journal: Path, logs: Sequence[dict[str, Any]]) -> str:
    """Puts a new journal in the place of a damaged one; the name under which that one is kept.

    The name is empty if there was none.
    """
    with JournalLock(journal), atomic_file(journal) as temporary:
        temporary.write_bytes(lines_of(logs))
        return _set_aside(journal)


def _set_aside(path: Path) -> str:
    if not os.path.lexists(path) or (path.is_file() and not path.stat().st_size):
        return ""
    aside = free_damaged_name(path)
    os.rename(path, aside)
    return aside.name


@contextmanager
def quiet() -> Iterator[None]:
    """Suppresses Optuna's warnings about experimental features."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
