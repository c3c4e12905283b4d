"""The records of a run's candidates, each read once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from ..records import TrialRecord
from .run import Run


class Candidates:
    """The records of a run's candidates; each file is read only once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._known: dict[int, TrialRecord] = {}

    def refresh(self, numbers: Iterable[int]) -> list[TrialRecord]:
        """The records of these trials, as far as they exist, and all read before, by number.

        Files are opened by name, because a network file system may show an outdated listing.
        """
        for number in numbers:
            if number not in self._known:
                with contextlib.suppress(FileNotFoundError):
                    self._known[number] = self._read(number)
        return [self._known[number] for number in sorted(self._known)]

    def _read(self, number: int) -> TrialRecord:
        entry = self._run.trial(number)
        entry.record_path.stat()
        return entry.read()
