"""The events by which a worker reports progress to its supervisor, as lines of JSON."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import IO, Any

from rich.console import Console

from .. import records
from ..records import EpochResult, TrialRecord
from .display import Display


class EventDisplay(Display):
    """Writes each event to a stream, for the display of another process."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(Console(stderr=True))
        self._stream = stream
        self._next_images = 0.0

    def _send(self, event: str, *values: Any) -> None:
        self._stream.write(json.dumps([event, *values]) + "\n")
        self._stream.flush()

    def say(self, text: str) -> None:
        self._send("say", text)

    def start(self, label: str, epochs: int, images: int) -> None:
        self._send("start", label, epochs, images)

    def images(self, label: str, done: int) -> None:
        now = time.monotonic()
        if now > self._next_images:  # small networks train on thousands of batches per second
            self._next_images = now + 0.1
            self._send("images", label, done)

    def epoch(self, label: str, point: EpochResult) -> None:
        self._send("epoch", label, dataclasses.asdict(point))

    def leave(self, label: str) -> None:
        self._send("leave", label)

    def end(self, record: TrialRecord) -> None:
        self._send("end", record.to_json())


def parse(line: str) -> list[Any]:
    """Parses a line into the name of an event, followed by its values."""
    event, *values = json.loads(line)
    if event == "epoch":
        values[1] = EpochResult(**values[1])
    elif event == "end":
        values[0] = records.from_json(values[0], "a worker's event")
    return [event, *values]


def show(event: str, values: list[Any], display: Display) -> None:
    """Passes an event on to a display."""
    getattr(display, event)(*values)
