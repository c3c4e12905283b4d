"""The records of a run for a process that asks for them again and again."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from ..records import TrialRecord
from .paths import Entry, recorded
from .run import Run

_Mark = tuple[int, int]  # the number of a file and when it was written


class Known:
    """Reads each record once, and again only if another file has taken its place."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._known: dict[Path, tuple[_Mark, TrialRecord]] = {}
        self._candidates: dict[int, TrialRecord] = {}

    def candidates(self, numbers: Iterable[int]) -> list[TrialRecord]:
        """The records of these trials, as far as they exist, and all asked for before, by number.

        Files are opened by name, because a network file system may show an outdated listing; none
        is looked at twice. Raises InputError if one is damaged.
        """
        for number in numbers:
            if number not in self._candidates:
                with contextlib.suppress(FileNotFoundError):
                    self._candidates[number] = self._read(self._run.trial(number))
        return [self._candidates[number] for number in sorted(self._candidates)]

    def records(self) -> list[TrialRecord]:
        """As `Run.records`. Raises InputError if one is damaged."""
        return [self._read(entry) for entry in recorded(self._run.path)]

    def reruns(self, *stages: str) -> list[TrialRecord]:
        """The records of the trainings of these stages with fresh seeds. Raises InputError."""
        return [self._read(entry) for entry in recorded(self._run.path, *stages)]

    def note(self, record: TrialRecord) -> None:
        """Takes a record that this process has just written as known, without reading it again."""
        path = self._run.entry(record.subject).record_path
        self._known[path] = (_mark(path), record)

    def _read(self, entry: Entry) -> TrialRecord:
        path = entry.record_path
        mark, known = _mark(path), self._known.get(path)
        if known is None or known[0] != mark:
            known = self._known[path] = (mark, entry.read())
        return known[1]


def _mark(path: Path) -> _Mark:
    status = os.lstat(path)
    return status.st_ino, status.st_mtime_ns
