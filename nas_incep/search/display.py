"""The progress display of a search: live bars in a terminal, plain log lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from .._text import cell, plain
from ..records import COMPLETE, EpochResult, TrialRecord
from ..results.leaderboard import short_number
from .tally import Tally, is_searched


class Display:
    """Log lines on standard error, with epochs in GluonCV's format.

    Several trainings may run at once; the label of each identifies it.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.tally = Tally()

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
        self.tally.begin(trials, done)
        if done and len(done) < trials:
            self.say(f"resuming; trials done: {len(done)} of {trials}")
        elif done:
            self.say(f"trials done: {len(done)} of {trials}; a larger --trials trains more")

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
        self.tally.add(record)

    def _sentence(self, record: TrialRecord) -> str:
        outcome = record.outcome
        what = f"{record.subject.label} {outcome.state}"
        if outcome.state != COMPLETE:
            return f"{what}: {outcome.reason}" if outcome.reason else what
        accuracy = record.val_accuracy or 0.0
        better = is_searched(record) and accuracy > self.tally.best
        return (
            f"{what}: val={accuracy:.4f}, {short_number(outcome.parameters)} parameters, "
            f"{short_number(outcome.macs)} MACs, {record.seconds:.1f} s"
            + (", best so far" if better else "")
        )


class QuietDisplay(Display):
    """Notices alone: neither epochs nor trials."""

    def epoch(self, label: str, point: EpochResult) -> None:
        """Says nothing."""

    def end(self, record: TrialRecord) -> None:
        self.tally.add(record)


@dataclass
class _Bar:
    """One training's bar."""

    task: TaskID
    epochs: int
    epoch_images: int
    images_before: int = 0  # of the training's finished epochs
    images: int = 0  # of its current epoch


class _Bars(Progress):
    """Bars below a line, which has the whole width for itself."""

    headline = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.headline:
            yield cell(self.headline)
        yield from super().get_renderables()


class LiveDisplay(Display):
    """The counts of the search, a bar for it, and one for each running training."""

    def __init__(self, console: Console, verbose: bool = False) -> None:
        """`verbose` adds a log line for each epoch."""
        super().__init__(console)
        # What stays for the bar beside the rest, and for a label beside both; the name of a
        # baseline may be longer.
        bar = min(20, max(8, console.width - 72))
        label = Column(no_wrap=True, overflow="ellipsis", max_width=max(22, console.width - 72))
        self.progress = _Bars(
            TextColumn("{task.description}", markup=False, table_column=label),
            BarColumn(bar_width=bar),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=console,
        )
        self._verbose = verbose
        self.search: TaskID | None = None
        self.bars: dict[str, _Bar] = {}

    def __enter__(self) -> LiveDisplay:
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def begin(self, trials: int, done: list[TrialRecord]) -> None:
        super().begin(trials, done)
        self.search = self.progress.add_task("search", total=trials, note="")
        self._show_counts()

    def start(self, label: str, epochs: int, images: int) -> None:
        self.leave(label)
        note = f"epoch 0/{epochs}"
        task = self.progress.add_task(label, total=epochs * images, note=note)
        self.bars[label] = _Bar(task, epochs, images)

    def images(self, label: str, done: int) -> None:
        bar = self.bars.get(label)
        if bar:
            self.tally.add_images(max(0, done - bar.images))
            bar.images = done
            self.progress.update(bar.task, completed=bar.images_before + done)
            self._show_counts()

    def epoch(self, label: str, point: EpochResult) -> None:
        if self._verbose:
            super().epoch(label, point)
        bar = self.bars.get(label)
        if bar:
            # Batches at the end of an epoch may not have been reported; those before it were.
            if point.epoch * bar.epoch_images > bar.images_before:
                self.tally.add_images(max(0, bar.epoch_images - bar.images))
            bar.images_before, bar.images = point.epoch * bar.epoch_images, 0
            note = f"epoch {point.epoch}/{bar.epochs} · loss {point.loss:.3f} · "
            note += f"val {point.val_accuracy:.4f}"
            self.progress.update(bar.task, completed=bar.images_before, note=note)
            self._show_counts()

    def leave(self, label: str) -> None:
        bar = self.bars.pop(label, None)
        if bar:
            self.progress.remove_task(bar.task)

    def end(self, record: TrialRecord) -> None:
        super().end(record)
        self.leave(record.subject.label)
        self._show_counts()

    def _show_counts(self) -> None:
        if self.search is not None:
            self.progress.headline = self.tally.headline()
            self.progress.update(self.search, completed=self.tally.done)


def make_display(quiet: bool = False, verbose: bool = False) -> Display:
    """A live display if standard error is a terminal, else plain log lines.

    `quiet` shows notices alone; `verbose` shows each epoch's line in a terminal, too.
    """
    console = Console(stderr=True)
    if quiet:
        return QuietDisplay(console)
    return LiveDisplay(console, verbose) if console.is_terminal else Display(console)
