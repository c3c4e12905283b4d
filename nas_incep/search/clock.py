"""The time limits of a training: its own and that of the search."""

from __future__ import annotations

import math
import time

from .display import Display


class Clock:
    """The deadlines of one training; every check also updates the displayed progress."""

    def __init__(
        self, display: Display, label: str, search_deadline: float, trial_seconds: float | None
    ) -> None:
        """Starts the trial's time limit of `trial_seconds`, None for no limit.

        `search_deadline` is a time.monotonic() value.
        """
        self._display, self._label = display, label
        self._search_deadline = search_deadline
        self._trial_deadline = time.monotonic() + (trial_seconds or math.inf)
        self.search_is_over = self.trial_is_over = False

    def should_stop(self, images: int) -> bool:
        """The callback of an engine between batches; `images` of this epoch are trained so far."""
        self._display.images(self._label, images)
        return self.is_over()

    def is_over(self) -> bool:
        """Whether a deadline has passed; `search_is_over` and `trial_is_over` tell which."""
        now = time.monotonic()
        self.search_is_over = now > self._search_deadline
        self.trial_is_over = now > self._trial_deadline
        return self.search_is_over or self.trial_is_over
