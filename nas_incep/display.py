"""How a search shows itself: live bars in a terminal, plain log lines anywhere else."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .leaderboard import short_number
from .records import COMPLETE, UNTRAINED, EpochResult, TrialRecord


class Display:
    """Log lines on standard error, those of the epochs in GluonCV's form."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.best = 0.0  # among the candidates
        self.label = ""

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(self, trials: int, done: list[TrialRecord]) -> None:
        """The search is to have `trials` candidates, `done` of which are there."""
        for record in done:
            self._note_best(record)
        if done:
            self.say(f"going on: {len(done)} of {trials} trials are done")

    def start(self, label: str, epochs: int, images: int) -> None:
        """A training of `epochs` epochs of `images` images begins."""
        self.label = label

    def images(self, done: int) -> None:
        """`done` images of the current epoch are trained on."""

    def epoch(self, point: EpochResult) -> None:
        seconds = point.train_seconds + point.eval_seconds
        self.say(
            f"{self.label} [Epoch {point.epoch}] train={point.train_accuracy:f} "
            f"val={point.val_accuracy:f} loss={point.loss:f} time: {seconds:f}"
        )

    def end(self, record: TrialRecord) -> None:
        self.say(self._sentence(record))
        self._note_best(record)

    def _note_best(self, record: TrialRecord) -> None:
        if record.kind == "candidate" and record.state == COMPLETE:
            self.best = max(self.best, record.val_accuracy or 0.0)

    def _sentence(self, record: TrialRecord) -> str:
        what = f"{label_of(record)} {record.state}"
        if record.state != COMPLETE:
            return f"{what}: {record.reason}" if record.reason else what
        better = record.kind == "candidate" and (record.val_accuracy or 0.0) > self.best
        return (
            f"{what}: val={record.val_accuracy:.4f}, {short_number(record.parameters)} parameters, "
            f"{short_number(record.macs)} MACs, {record.seconds:.1f} s"
            + (", best so far" if better else "")
        )


class LiveDisplay(Display):
    """Two bars: the search, and the training that runs."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self.search: TaskID | None = None
        self.training: TaskID | None = None
        self.epoch_images = 0
        self.images_before = 0  # of the training's finished epochs

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
        super().start(label, epochs, images)
        self.epoch_images, self.images_before = images, 0
        self._drop_training()
        self.training = self.progress.add_task(label, total=epochs * images, note="")

    def images(self, done: int) -> None:
        if self.training is not None:
            self.progress.update(self.training, completed=self.images_before + done)

    def epoch(self, point: EpochResult) -> None:
        if self.training is not None:
            self.images_before = point.epoch * self.epoch_images
            self.progress.update(
                self.training,
                completed=self.images_before,
                note=f"epoch {point.epoch} val={point.val_accuracy:.4f}",
            )

    def end(self, record: TrialRecord) -> None:
        super().end(record)
        self._drop_training()
        if self.search is not None and record.kind == "candidate":
            note = f"best val={self.best:.4f}" if self.best else ""
            self.progress.update(
                self.search, advance=0 if record.state in UNTRAINED else 1, note=note
            )

    def _drop_training(self) -> None:
        if self.training is not None:
            self.progress.remove_task(self.training)
            self.training = None


def label_of(record: TrialRecord) -> str:
    return f"trial {record.trial}" if record.kind == "candidate" else f"baseline {record.name}"


def make_display() -> Display:
    """Live where standard error is a terminal."""
    console = Console(stderr=True)
    return LiveDisplay(console) if console.is_terminal else Display(console)
