"""A display that calls functions of a program as well."""

from __future__ import annotations

from collections.abc import Callable

from ..records import EpochResult, TrialRecord
from .display import Display


class CallbackDisplay(Display):
    """Shows everything on another display, then calls what the program has given."""

    def __init__(
        self,
        shown: Display,
        on_epoch: Callable[[str, EpochResult], None] | None = None,
        on_trial: Callable[[TrialRecord], None] | None = None,
    ) -> None:
        super().__init__(shown.console)
        self._shown, self._on_epoch, self._on_trial = shown, on_epoch, on_trial

    def __enter__(self) -> CallbackDisplay:
        self._shown.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._shown.__exit__(*error)

    def say(self, text: str) -> None:
        self._shown.say(text)

    def begin(self, trials: int, done: list[TrialRecord]) -> None:
        self._shown.begin(trials, done)

    def start(self, label: str, epochs: int, images: int) -> None:
        self._shown.start(label, epochs, images)

    def images(self, label: str, done: int) -> None:
        self._shown.images(label, done)

    def epoch(self, label: str, point: EpochResult) -> None:
        self._shown.epoch(label, point)
        if self._on_epoch:
            self._on_epoch(label, point)

    def leave(self, label: str) -> None:
        self._shown.leave(label)

    def end(self, record: TrialRecord) -> None:
        self._shown.end(record)
        if self._on_trial:
            self._on_trial(record)
