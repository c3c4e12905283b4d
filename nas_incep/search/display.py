"""The progress display of a search: live bars in a terminal, plain log lines elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .._text import plain
from ..records import COMPLETE, SEARCH, EpochResult, TrialRecord
from ..results.leaderboard import short_number


class Display:
    """Log lines on standard error, with epochs in GluonCV's format.

    Several trainings may run at once; the label of each identifies it.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.best = 0.0  # among the candidates

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def say(self, text: str) -> None:
        self.console.print(
            plain(text, limit=4000), markup=False, emoji=False, highlight=False, soft_wrap=True
        )

    def begin(self, trials: int, done: list[TrialRecord]) -> None:
        """Starts the display of a search for `trials` candidates; `done` are already finished."""
        for record in done:
            self._note_best(record)
        if done and len(done) < trials:
            self.say(f"resuming: {len(done)} of {trials} trials are done")
        elif done:
            self.say(f"{len(done)} of {trials} trials are done; a larger --trials trains more")

    def start(self, label: str, epochs: int, images: int) -> None:
        """A training of `epochs` epochs with `images` images each starts."""

    def images(self, label: str, done: int) -> None:
        """The training has processed `done` images of its current epoch."""

    def epoch(self, label: str, point: EpochResult) -> None:
        seconds = point.train_seconds + point.eval_seconds
        self.say(
            f"{label} [Epoch {point.epoch}] train={point.train_accuracy:f} "
            f"val={point.val_accuracy:f} loss={point.loss:f} time: {seconds:f}"
        )

    def leave(self, label: str) -> None:
        """A training ends without a record."""

    def end(self, record: TrialRecord) -> None:
        self.say(self._sentence(record))
        self._note_best(record)

    def _note_best(self, record: TrialRecord) -> None:
        subject = record.subject
        searched = not subject.is_baseline and subject.stage == SEARCH
        if searched and record.outcome.state == COMPLETE:
            self.best = max(self.best, record.val_accuracy or 0.0)

    def _sentence(self, record: TrialRecord) -> str:
        outcome = record.outcome
        what = f"{record.subject.label} {outcome.state}"
        if outcome.state != COMPLETE:
            return f"{what}: {outcome.reason}" if outcome.reason else what
        accuracy = record.val_accuracy or 0.0
        subject = record.subject
        searched = not subject.is_baseline and subject.stage == SEARCH
        better = searched and accuracy > self.best
        return (
            f"{what}: val={accuracy:.4f}, {short_number(outcome.parameters)} parameters, "
            f"{short_number(outcome.macs)} MACs, {record.seconds:.1f} s"
            + (", best so far" if better else "")
        )


@dataclass
class _Bar:
    """One training's bar."""

    task: TaskID
    epoch_images: int
    images_before: int = 0  # of the training's finished epochs


class LiveDisplay(Display):
    """One bar for the search and one for each running training."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self.search: TaskID | None = None
        self.bars: dict[str, _Bar] = {}

    def __enter__(self) -> LiveDisplay:
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def begin(self, trials: int, done: list[TrialRecord]) -> None:
        super().begin(trials, done)
        self.search = self.progress.add_task(
            "search", total=trials, completed=len(done), note=f"{len(done)}/{trials} trials"
        )

    def start(self, label: str, epochs: int, images: int) -> None:
        self.leave(label)
        task = self.progress.add_task(label, total=epochs * images, note="")
        self.bars[label] = _Bar(task, images)

    def images(self, label: str, done: int) -> None:
        bar = self.bars.get(label)
        if bar:
            self.progress.update(bar.task, completed=bar.images_before + done)

    def epoch(self, label: str, point: EpochResult) -> None:
        bar = self.bars.get(label)
        if bar:
            bar.images_before = point.epoch * bar.epoch_images
            self.progress.update(
                bar.task,
                completed=bar.images_before,
                note=f"epoch {point.epoch} val={point.val_accuracy:.4f}",
            )

    def leave(self, label: str) -> None:
        bar = self.bars.pop(label, None)
        if bar:
            self.progress.remove_task(bar.task)

    def end(self, record: TrialRecord) -> None:
        super().end(record)
        self.leave(record.subject.label)
        if self.search is not None and not record.subject.is_baseline:
            note = f"best val={self.best:.4f}" if self.best else ""
            counts = record.counts and record.subject.stage == SEARCH
            self.progress.update(self.search, advance=1 if counts else 0, note=note)


def make_display() -> Display:
    """A live display if standard error is a terminal, else plain log lines."""
    console = Console(stderr=True)
    return LiveDisplay(console) if console.is_terminal else Display(console)
