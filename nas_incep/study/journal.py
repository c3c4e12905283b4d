"""A study in a file on a local disk, for any number of processes on one machine."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import optuna
from optuna.storages import (
    JournalStorage,
)
from optuna.storages.journal import JournalFileBackend

from .._files import naming
from .locks import KernelLock


class _Journal(JournalFileBackend):
    """A journal that removes an incomplete last line before it appends.

    A crash or a full disk leaves such a line while other workers may go on writing. Optuna would
    append the next line to it and could never read past the two again.
    """

    def __init__(self, path: Path, lock: KernelLock) -> None:
        super().__init__(str(path), lock_obj=cast(Any, lock))
        self._path, self._writers = path, lock
        with lock, open(path, "r+b") as file:
            _mend_tail(file)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with naming(self._path), self._writers, open(self._path, "r+b", buffering=0) as file:
            _mend_tail(file)
            content = lines.encode()
            try:
                while content:
                    content = content[file.write(content) or 0 :]
                os.fsync(file.fileno())
            except BaseException:
                _mend_tail(file)
                raise


def _mend_tail(file: IO[bytes]) -> None:
    """Truncates a file after its last whole line and seeks to the end."""
    end = position = file.seek(0, os.SEEK_END)
    last = b""
    while position and b"\n" not in last:
        position = max(0, position - 4096)
        file.seek(position)
        last = file.read(min(4096, end - position))
    whole = position + last.rfind(b"\n") + 1
    if whole < end:
        file.truncate(whole)
    file.seek(whole)


def open_journal(journal: Path) -> JournalStorage:
    """Opens or creates the journal at that path, with its lock file beside it."""
    with quiet():
        return JournalStorage(_Journal(journal, KernelLock(journal.with_suffix(".lock"))))


@contextmanager
def quiet() -> Iterator[None]:
    """Suppresses Optuna's warnings about experimental features."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
