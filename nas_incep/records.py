"""The record of a trial: which network it was about, and how it ended."""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
from dataclasses import dataclass
from typing import Any, Optional

from . import architecture as architectures
from ._formats import Amount, Fraction, Natural, Positive, pick, read, unwrap
from .answers import Answers
from .architecture import Architecture
from .errors import InputError
from .recipe import Recipe, derive_seed

FORMAT = "nas-incep-trial"
VERSION = 1

# What a trial can be about.
CANDIDATE, BASELINE = "candidate", "baseline"

# For what a network is trained: by the search once, and again with fresh seeds by the finals, which
# choose the winner, by the confirmation, which takes no part in any choice, and by the fidelity
# check, which trains longer to see how far the ranking can be believed.
SEARCH, FINALS, CONFIRMATION, FIDELITY = "search", "finals", "confirmation", "fidelity"
RERUNS = (FINALS, CONFIRMATION, FIDELITY)
RETRAINING = "retraining"  # for longer, outside of any run

# How a trial can end. Only a complete one is ranked by its accuracy.
COMPLETE = "complete"
PRUNED = "pruned"
DIVERGED = "diverged"
OUT_OF_MEMORY = "out of memory"
TIMED_OUT = "timed out"
KILLED = "killed"  # its worker process died
FAILED = "failed"
DUPLICATE = "duplicate"
OVER_BUDGET = "over budget"
IMPOSSIBLE = "impossible"
# These cost no training and do not count toward the trials of a search.
UNTRAINED = (DUPLICATE, OVER_BUDGET, IMPOSSIBLE)
STATES = (COMPLETE, PRUNED, DIVERGED, OUT_OF_MEMORY, TIMED_OUT, KILLED, FAILED, *UNTRAINED)

# The engine of records from before there was a choice of engines.
FIRST_ENGINE = "gluon"

# Fields that every record must have, although the dataclasses have defaults for them.
_WRITTEN = ("reason", "architecture", "curve", "parameters", "macs")

# A baseline's name becomes part of a file name.
_BASELINE_NAME = re.compile(r"[a-z0-9_@-][a-z0-9_.@:=,+-]{0,149}")


def now() -> str:
    """The date and time in UTC as records write it; sorting the texts sorts by time."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class EpochResult:
    """One point of a learning curve; losses are means over the images."""

    epoch: Positive
    loss: float  # during training, so on augmented images
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
    the study's number, None for a baseline. `repeat` counts a network's reruns in a stage from 1;
    it is 0 in the search. Raises InputError if these are inconsistent, or if a baseline's name
    cannot be part of a file name.
    """

    kind: str
    trial: Optional[Natural]
    name: str
    seed: Natural
    architecture: Optional[Architecture] = None
    retry_of: Optional[Natural] = None  # the killed trial that this one retries
    stage: str = SEARCH
    repeat: Natural = 0

    def __post_init__(self) -> None:
        stages = (SEARCH, *RERUNS, RETRAINING)
        if self.stage not in stages:
            raise InputError(f"stage is {self.stage!r}: one of {', '.join(stages)} is expected")
        if (self.stage == SEARCH) != (self.repeat == 0):
            raise InputError(f"repeat is {self.repeat}, which no training of stage {self.stage} is")
        if self.kind not in (CANDIDATE, BASELINE):
            raise InputError(f"kind is {self.kind!r}: {CANDIDATE} or {BASELINE} is expected")
        if self.is_baseline != (self.trial is None):
            raise InputError(f"trial is {self.trial!r}, which no {self.kind} has")
        if self.is_baseline:
            check_baseline_name(self.name)

    def again(self, search_seed: int, stage: str, repeat: int) -> Subject:
        """The same network for a rerun, with a fresh seed."""
        seed = derive_seed(search_seed, stage, self.name, repeat)
        return dataclasses.replace(self, stage=stage, repeat=repeat, seed=seed, retry_of=None)

    @property
    def is_baseline(self) -> bool:
        """Whether it is a network of the zoo, not a candidate."""
        return self.kind == BASELINE

    @property
    def origin(self) -> int:
        """The number of the trial that this one retries, or else its own; 0 for a baseline."""
        return self.trial or 0 if self.retry_of is None else self.retry_of

    @property
    def label(self) -> str:
        """What displays call the training: `trial 3`, `finals 1 of trial 3`."""
        network = f"baseline {self.name}" if self.is_baseline else f"trial {self.trial}"
        return network if self.stage == SEARCH else f"{self.stage} {self.repeat} of {network}"


def check_baseline_name(name: str) -> None:
    """Raises InputError unless a baseline's name can be part of a file name."""
    if not _BASELINE_NAME.fullmatch(name):
        raise InputError(
            f"name is {name[:100]!r}: a baseline's name has at most 150 characters of a-z, 0-9 "
            "and _-@.:=,+ and does not begin with '.'"
        )


@dataclass(frozen=True)
class Outcome:
    """How a trial ended. The counts are None where no network was built."""

    state: str
    reason: str = ""  # one sentence about a state other than complete
    curve: tuple[EpochResult, ...] = ()
    parameters: Optional[Natural] = None
    macs: Optional[Natural] = None
    latency_ms: Optional[Amount] = None  # for one image; None if it was not measured
    where: str = ""  # where in the code a failure was raised
    duplicate_of: Optional[Natural] = None  # the trial that trains or has trained this network
    right: Optional[Answers] = None  # of the validation images, after the last epoch

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise InputError(f"state is {self.state!r}: one of {', '.join(STATES)} is expected")
        if self.right and self.curve:
            share, accuracy = self.right.correct / self.right.images, self.curve[-1].val_accuracy
            if not math.isclose(share, accuracy, abs_tol=1e-9):
                raise InputError(
                    f"right tells of an accuracy of {share:.6f}, the curve of {accuracy:.6f}"
                )


@dataclass(frozen=True)
class TrialRecord:
    """One trial: its network, its outcome, and everything that the outcome depends on."""

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
        """Whether it counts toward the number of trials that a search was asked for.

        Duplicate, over-budget and impossible samples cost no training, and a trial that was killed
        once is replaced by its retry.
        """
        replaced = (
            self.outcome.state == KILLED
            and not self.subject.is_baseline
            and self.subject.retry_of is None
        )
        return self.outcome.state not in UNTRAINED and not replaced

    @property
    def val_accuracy(self) -> float | None:
        """The accuracy after the last epoch; taking the best epoch would favor noisy curves."""
        return self.outcome.curve[-1].val_accuracy if self.outcome.curve else None

    @property
    def epochs(self) -> int:
        """How many epochs it was trained."""
        return len(self.outcome.curve)

    @property
    def train_seconds(self) -> float:
        """The seconds of training in all epochs, without evaluation."""
        return sum(point.train_seconds for point in self.outcome.curve)

    @property
    def images_per_second(self) -> float | None:
        """Training images per second, without evaluation; None if that is no finite number."""
        images = sum(point.images for point in self.outcome.curve)
        rate = images / self.train_seconds if self.train_seconds else math.inf
        return rate if math.isfinite(rate) else None

    def to_json(self) -> dict[str, Any]:
        """The record as one flat JSON object, as it is written to its file."""
        flat = {**vars(self.subject), **vars(self.outcome), **vars(self)}
        del flat["subject"], flat["outcome"]
        arch = self.subject.architecture
        flat["architecture"] = arch.to_json() if arch else None
        flat["curve"] = [dict(vars(point)) for point in self.outcome.curve]
        flat["right"] = dataclasses.asdict(self.outcome.right) if self.outcome.right else None
        flat["recipe"] = self.recipe.to_json()
        return {"format": FORMAT, "version": VERSION, **flat}


def from_json(value: object, source: str) -> TrialRecord:
    """Reads a record from a JSON object as `to_json` writes it.

    Raises InputError, naming `source`, if the object is not a valid record.
    """
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
