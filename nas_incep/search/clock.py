"""When a training has to stop because its time, or the search's, is used up."""

from __future__ import annotations

import math
import time

from .display import Display


class Clock:
    """The deadlines of one training; it shows the training's progress whenever it is asked."""

    def __init__(
        self, display: Display, label: str, search_deadline: float, trial_seconds: float | None
    ) -> None:
        """`search_deadline` is on time.monotonic's clock; the trial's seconds begin now."""
        self._display, self._label = display, label
        self._search_deadline = search_deadline
        self._trial_deadline = time.monotonic() + (trial_seconds or math.inf)
        self.search_is_over = self.trial_is_over = False

    def should_stop(self, images: int) -> bool:
        """What an engine asks between batches, with the images of the epoch trained on so far."""
        self._display.images(self._label, images)
        return self.is_over()

    def is_over(self) -> bool:
        """Whether either deadline has passed; the two attributes then say which."""
        now = time.monotonic()
        self.search_is_over = now > self._search_deadline
        self.trial_is_over = now > self._trial_deadline
        return self.search_is_over or self.trial_is_over
