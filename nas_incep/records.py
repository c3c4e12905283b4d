"""The record of each network that a search has met: what it was, and how its trial ended."""

from __future__ import annotations

import dataclasses
import datetime
import re
from dataclasses import dataclass
from typing import Any, Optional

from . import architecture as architectures
from ._formats import Amount, Fraction, Natural, Positive, pick, read, unwrap
from .architecture import Architecture
from .errors import InputError
from .recipe import Recipe

FORMAT = "nas-incep-trial"
VERSION = 1

# What a trial can be about.
CANDIDATE, BASELINE = "candidate", "baseline"

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

# The engine of the records that were written before there were others.
FIRST_ENGINE = "gluon"

# What every record has had from the start, though it has a default here.
_WRITTEN = ("reason", "architecture", "curve", "parameters", "macs")

# It is part of a file's name.
_BASELINE_NAME = re.compile(r"[a-z0-9_@-][a-z0-9_.@-]{0,99}")


def now() -> str:
    """The date and time, UTC, as it stands in records; texts of it sort by time."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True)
class EpochResult:
    """One point of a learning curve. Losses are means over images."""

    epoch: Positive
    loss: float  # while training, so with augmented images
    train_accuracy: Fraction
    val_loss: float
    val_accuracy: Fraction
    images: Natural
    train_seconds: Amount
    eval_seconds: Amount


@dataclass(frozen=True)
class Subject:
    """The network that a trial is about.

    `name` is a baseline's name or a candidate's identity, empty for an impossible one. `trial` is
    the study's number, None for a baseline. Raises InputError where these do not fit together, or
    a baseline's name cannot be a file's.
    """

    kind: str
    trial: Optional[Natural]
    name: str
    seed: Natural
    architecture: Optional[Architecture] = None
    retry_of: Optional[Natural] = None  # the killed trial that this one tries again

    def __post_init__(self) -> None:
        if self.kind not in (CANDIDATE, BASELINE):
            raise InputError(f"kind is {self.kind!r}: {CANDIDATE} or {BASELINE} is expected")
        if self.is_baseline != (self.trial is None):
            raise InputError(f"trial is {self.trial!r}, which no {self.kind} has")
        if self.is_baseline:
            check_baseline_name(self.name)

    @property
    def is_baseline(self) -> bool:
        return self.kind == BASELINE

    @property
    def origin(self) -> int:
        """The number of the trial that this one tries again, or else its own; 0 for a baseline."""
        return self.trial or 0 if self.retry_of is None else self.retry_of

    @property
    def label(self) -> str:
        return f"baseline {self.name}" if self.is_baseline else f"trial {self.trial}"


def check_baseline_name(name: str) -> None:
    """Raises InputError unless the name of a baseline can be a file's."""
    if not _BASELINE_NAME.fullmatch(name):
        raise InputError(
            f"name is {name[:100]!r}: of a baseline at most 100 of a-z, 0-9, '_', '-', '@' and '.' "
            "are expected, no '.' first"
        )


@dataclass(frozen=True)
class Outcome:
    """How a trial ended. The counts are None where no network was built."""

    state: str
    reason: str = ""  # one sentence about a state other than complete
    curve: tuple[EpochResult, ...] = ()
    parameters: Optional[Natural] = None
    macs: Optional[Natural] = None
    latency_ms: Optional[Amount] = None  # of one image; None where it was not measured
    where: str = ""  # where in the code a failure arose
    duplicate_of: Optional[Natural] = None  # the trial that trains this network, or has trained it

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise InputError(f"state is {self.state!r}: one of {', '.join(STATES)} is expected")


@dataclass(frozen=True)
class TrialRecord:
    """One trial: its network, its outcome, and all that the outcome depends on."""

    subject: Subject
    outcome: Outcome
    engine: str
    recipe: Recipe
    data_fingerprint: str
    environment: dict[str, Any]  # device, threads, precision, versions; empty for a dead worker's
    finished: str  # date and time, UTC
    seconds: Amount  # from the start of the trial to this record

    @property
    def counts(self) -> bool:
        """Whether it is one of the trials that a search was asked for.

        A duplicate or an over-budget sample costs nothing, and a trial that was killed once is
        replaced by its second try.
        """
        replaced = (
            self.outcome.state == KILLED
            and not self.subject.is_baseline
            and self.subject.retry_of is None
        )
        return self.outcome.state not in UNTRAINED and not replaced

    @property
    def val_accuracy(self) -> float | None:
        """Of the last epoch: the best epoch of each would flatter the noisy ones."""
        return self.outcome.curve[-1].val_accuracy if self.outcome.curve else None

    @property
    def epochs(self) -> int:
        return len(self.outcome.curve)

    @property
    def train_seconds(self) -> float:
        return sum(point.train_seconds for point in self.outcome.curve)

    @property
    def images_per_second(self) -> float | None:
        """Training images a second, evaluation apart."""
        images = sum(point.images for point in self.outcome.curve)
        return images / self.train_seconds if self.train_seconds else None

    def to_json(self) -> dict[str, Any]:
        """The flat object of a record's file."""
        flat = {**vars(self.subject), **vars(self.outcome), **vars(self)}
        del flat["subject"], flat["outcome"]
        arch = self.subject.architecture
        flat["architecture"] = arch.to_json() if arch else None
        flat["curve"] = [dataclasses.asdict(point) for point in self.outcome.curve]
        flat["recipe"] = self.recipe.to_json()
        return {"format": FORMAT, "version": VERSION, **flat}


def from_json(value: object, source: str) -> TrialRecord:
    """The record of a JSON object as `to_json` writes it. Raises InputError, naming `source`."""
    fields = {"engine": FIRST_ENGINE, **unwrap(value, FORMAT, (VERSION,), source)}
    for name in _WRITTEN:
        if name not in fields:
            raise InputError(f"{source}: {name} is missing")
    of_subject, of_outcome = pick(fields, Subject), pick(fields, Outcome)
    if of_subject.get("architecture") is not None:
        arch = architectures.from_json(of_subject["architecture"], f"{source}: architecture")
        of_subject["architecture"] = arch
    parts = {
        "subject": read(of_subject, Subject, source),
        "outcome": read(of_outcome, Outcome, source),
    }
    return read({**fields, **parts}, TrialRecord, source)
