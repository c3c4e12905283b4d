"""What a search has come to, as a display counts it: trials, the best, images, the time left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from ..records import COMPLETE, SEARCH, STATES, TrialRecord
from ..results.leaderboard import short_number


class Tally:
    """The counts of one call of a search; baselines and finals are none of its trials."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self.best = 0.0
        self.best_trial: int | None = None
        self._trials = self._done = self._before = 0
        self._states: Counter[str] = Counter()
        self._images = 0
        self._clock, self._began = clock, clock()

    def begin(self, trials: int, done: list[TrialRecord]) -> None:
        """A call begins that asks for `trials` candidates; `done` are finished already."""
        self._trials, self._began = trials, self._clock()
        for record in done:
            self.add(record)
        self._before = self._done

    def add(self, record: TrialRecord) -> None:
        """Counts a trial that has ended."""
        if not is_searched(record):
            return
        self._done += record.counts
        if record.outcome.state != COMPLETE:
            self._states[record.outcome.state] += 1
        elif (record.val_accuracy or 0.0) > self.best or self.best_trial is None:
            self.best, self.best_trial = record.val_accuracy or 0.0, record.subject.trial

    def add_images(self, images: int) -> None:
        """Counts images on which some network was trained."""
        self._images += images

    @property
    def done(self) -> int:
        return self._done

    def headline(self) -> str:
        """The counts in one line: `3/6 · best 0.956 (trial 3) · 2 pruned · 1.5k images/s · ...`."""
        parts = [f"{self._done}/{self._trials}"]
        if self.best_trial is not None:
            parts.append(f"best {self.best:.3f} (trial {self.best_trial})")
        parts += [f"{self._states[state]} {state}" for state in STATES if self._states[state]]
        seconds = self._clock() - self._began
        if self._images and seconds > 0:
            parts.append(f"{short_number(self._images / seconds)} images/s")
        finished = self._done - self._before
        if finished > 0 and self._done < self._trials:
            left = seconds / finished * (self._trials - self._done)
            parts.append(f"{_duration(left)} left")
        return " · ".join(parts)


def is_searched(record: TrialRecord) -> bool:
    """Whether a record is of a candidate's training in the search itself."""
    return not record.subject.is_baseline and record.subject.stage == SEARCH


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
