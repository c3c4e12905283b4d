"""What is kept of each network that a search has met."""

from __future__ import annotations

import dataclasses
import datetime
from dataclasses import dataclass
from typing import Any

from . import architecture
from .architecture import Architecture
from .errors import InputError
from .recipe import Recipe

FORMAT = "nas-incep-trial"
VERSION = 1

# How a trial can end. Only a complete one is ranked by its accuracy.
COMPLETE = "complete"
PRUNED = "pruned"
DIVERGED = "diverged"
OUT_OF_MEMORY = "out of memory"
TIMED_OUT = "timed out"
KILLED = "killed"  # its process died under it
FAILED = "failed"
DUPLICATE = "duplicate"
OVER_BUDGET = "over budget"
IMPOSSIBLE = "impossible"
# These cost no training, and do not count as trials of a search.
UNTRAINED = (DUPLICATE, OVER_BUDGET, IMPOSSIBLE)
STATES = (COMPLETE, PRUNED, DIVERGED, OUT_OF_MEMORY, TIMED_OUT, KILLED, FAILED, *UNTRAINED)


def now() -> str:
    """The date and time, UTC, as it stands in records; texts of it sort by time."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True)
class EpochResult:
    """One point of a learning curve. Accuracies are parts of 1, losses means over images."""

    epoch: int  # from 1 on
    loss: float  # while training, so with augmented images
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    images: int
    train_seconds: float
    eval_seconds: float


@dataclass(frozen=True)
class Outcome:
    """How a trial ended. The counts are None where no network was built."""

    state: str
    reason: str = ""  # what is to say of a state other than complete
    curve: tuple[EpochResult, ...] = ()
    parameters: int | None = None
    macs: int | None = None
    latency_ms: float | None = None


@dataclass(frozen=True)
class TrialRecord:
    """One network: what it was, how it was trained, what came of it. Complete in itself."""

    kind: str  # candidate or baseline
    trial: int | None  # the study's number; None for a baseline
    name: str  # the baseline's name; the candidate's identity, empty for an impossible one
    state: str
    reason: str
    seed: int
    recipe: dict[str, Any]
    data_fingerprint: str
    architecture: Architecture | None
    parameters: int | None
    macs: int | None
    curve: tuple[EpochResult, ...]
    environment: dict[str, Any]  # device, threads, precision, versions
    finished: str  # date and time, UTC
    seconds: float  # from the start of the trial to this record
    latency_ms: float | None = None  # of one image; None where it was not measured
    retry_of: int | None = None  # the killed trial that this one tries again

    @property
    def counts(self) -> bool:
        """Whether it is one of the trials that a search was asked for.

        A repetition or an over-budget sample costs nothing, and a trial that was killed once is
        replaced by its second try.
        """
        replaced = self.state == KILLED and self.kind == "candidate" and self.retry_of is None
        return self.state not in UNTRAINED and not replaced

    @property
    def val_accuracy(self) -> float | None:
        """Of the last epoch: the best epoch of each would flatter the noisy ones."""
        return self.curve[-1].val_accuracy if self.curve else None

    @property
    def epochs(self) -> int:
        return len(self.curve)

    @property
    def train_seconds(self) -> float:
        return sum(point.train_seconds for point in self.curve)

    @property
    def images_per_second(self) -> float | None:
        """Training images a second, evaluation apart."""
        images = sum(point.images for point in self.curve)
        return images / self.train_seconds if self.train_seconds else None

    def to_json(self) -> dict[str, Any]:
        # Not asdict, which would look into the architecture.
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields["architecture"] = self.architecture.to_json() if self.architecture else None
        fields["curve"] = [dataclasses.asdict(point) for point in self.curve]
        return {"format": FORMAT, "version": VERSION, **fields}


@dataclass(frozen=True)
class Subject:
    """The network that a trial is about."""

    kind: str
    trial: int | None
    name: str
    seed: int
    architecture: Architecture | None = None
    retry_of: int | None = None

    @property
    def origin(self) -> int:
        """The number of the trial that this one tries again, or else its own; 0 for a baseline."""
        return self.trial or 0 if self.retry_of is None else self.retry_of

    @property
    def label(self) -> str:
        return f"baseline {self.name}" if self.trial is None else f"trial {self.trial}"

    def record(
        self,
        outcome: Outcome,
        recipe: Recipe,
        data_fingerprint: str,
        environment: dict[str, Any],
        seconds: float,
    ) -> TrialRecord:
        """The record of how its trial ended, just now."""
        return TrialRecord(
            kind=self.kind,
            trial=self.trial,
            name=self.name,
            state=outcome.state,
            reason=outcome.reason,
            seed=self.seed,
            recipe=recipe.to_json(),
            data_fingerprint=data_fingerprint,
            architecture=self.architecture,
            parameters=outcome.parameters,
            macs=outcome.macs,
            curve=outcome.curve,
            environment=environment,
            finished=now(),
            seconds=seconds,
            latency_ms=outcome.latency_ms,
            retry_of=self.retry_of,
        )


def from_json(value: object, source: str) -> TrialRecord:
    """The record of a JSON object as `to_json` writes it. Raises InputError, naming `source`."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise InputError(f"{source}: not a trial record (format {FORMAT!r} expected)")
    if value.get("version") != VERSION:
        raise InputError(f"{source}: version is {value.get('version')!r}, expected {VERSION}")
    fields = {key: item for key, item in value.items() if key not in ("format", "version")}
    try:
        if fields["architecture"] is not None:
            fields["architecture"] = architecture.from_json(fields["architecture"], source)
        fields["curve"] = tuple(EpochResult(**point) for point in fields["curve"])
        return TrialRecord(**fields)
    except (KeyError, TypeError) as error:
        raise InputError(f"{source}: not a whole trial record: {error}") from None
