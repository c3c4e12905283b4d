"""The manifest of a bundle, manifest.json, as typed data."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Optional

from msgspec import Meta

from .._formats import Fraction, Natural, Positive, PositiveAmount, read, unwrap
from ..errors import InputError
from ..recipe import Recipe
from ..records import FIRST_ENGINE, TrialRecord
from ..results.config import DataFacts, RunConfig

FORMAT = "nas-incep-bundle"
VERSION = 2  # 1 knew neither of retraining nor of baselines
ARCHITECTURE, WEIGHTS, MANIFEST = "architecture.json", "weights.params", "manifest.json"
NETWORK = "network.json"  # of a baseline, in place of the architecture
# The same network for other programs; a bundle may have some of them.
ONNX_MODEL, PROGRAM = "model.onnx", "model.pt2"
SYMBOL, SYMBOL_PARAMS = "model-symbol.json", "model-0000.params"
OPTIONAL = (ONNX_MODEL, SYMBOL, SYMBOL_PARAMS, PROGRAM)
# The parts of a data set that a network can be trained on.
TRAIN, BOTH = "train", "train+validation"


@dataclass(frozen=True)
class FileSum:
    """The SHA-256 sum of a file, in hexadecimal."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Preprocessing:
    """How pixels from 0 to 255 are converted to the network's input."""

    mean: tuple[float, ...]  # of each channel, in units of pixel / 255
    std: tuple[PositiveAmount, ...]
    input_shape: tuple[Positive, Positive, Positive]  # (channels, height, width)
    layout: str = "NCHW"
    scale: str = "pixel / 255, then (value - mean) / std for each channel"


@dataclass(frozen=True)
class Source:
    """The data that a network was trained on."""

    name: str
    fingerprint: str
    validation_size: Positive
    official: Optional[bool] = None
    trained_on: str = TRAIN

    def __post_init__(self) -> None:
        if self.trained_on not in (TRAIN, BOTH):
            raise InputError(f"trained_on is {self.trained_on!r}: {TRAIN} or {BOTH} is expected")


@dataclass(frozen=True)
class Accuracy:
    """What was measured after the last epoch."""

    validation: Fraction
    train: Fraction
    epochs: Natural
    # Then the accuracy on the validation images says nothing about other images.
    validation_seen_in_training: bool = False


@dataclass(frozen=True)
class Origin:
    """The training that a network comes from."""

    number: Optional[Natural]  # of a candidate's trial; None for a baseline
    seed: Natural
    search_seed: Natural


@dataclass(frozen=True)
class SeedResult:
    """The accuracies of one seed after the last epoch."""

    seed: Natural
    validation: Fraction
    train: Fraction


@dataclass(frozen=True)
class StartedFrom:
    """The parameters that a retraining started from."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]  # of the file
    epochs: Natural  # that they had been trained for


@dataclass(frozen=True)
class Retraining:
    """The trainings of a retrained network; the bundle has the parameters of the first."""

    seeds: tuple[SeedResult, ...]
    mean: Fraction  # of the seeds' accuracies on the validation images
    deviation: Optional[Fraction] = None  # between the seeds; None: there is one
    started_from: Optional[StartedFrom] = None  # None: from scratch

    def __post_init__(self) -> None:
        if not self.seeds:
            raise InputError("seeds is []: a seed is expected")

    @classmethod
    def of(cls, seeds: Sequence[SeedResult], start: StartedFrom | None = None) -> Retraining:
        """The results of at least one seed."""
        accuracies = [result.validation for result in seeds]
        deviation = statistics.stdev(accuracies) if len(accuracies) > 1 else None
        return cls(tuple(seeds), statistics.mean(accuracies), deviation, start)


@dataclass(frozen=True)
class Manifest:
    """The contents of manifest.json."""

    identity: str
    files: dict[str, FileSum]
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    data: Source
    accuracy: Accuracy
    recipe: Recipe
    trial: Origin
    environment: dict[str, Any] = field(default_factory=dict)
    engine: str = FIRST_ENGINE
    retraining: Optional[Retraining] = None  # None: the parameters are the search's

    def __post_init__(self) -> None:
        for name in (self.described_in, WEIGHTS):
            if name not in self.files:
                raise InputError(f"files.{name} is missing")
        known = (self.described_in, WEIGHTS, *OPTIONAL)
        for name in self.files:
            if name not in known:
                raise InputError(f"files has {name[:80]!r}; the files are {', '.join(known)}")
        channels = self.preprocessing.input_shape[0]
        for name in ("mean", "std"):
            count = len(getattr(self.preprocessing, name))
            if count != channels:
                raise InputError(f"preprocessing.{name} has {count} values for {channels} channels")
        if self.accuracy.validation_seen_in_training != (self.data.trained_on == BOTH):
            raise InputError(
                f"data.trained_on is {self.data.trained_on!r}, which "
                "accuracy.validation_seen_in_training contradicts"
            )

    @property
    def described_in(self) -> str:
        """The name of the file that describes the network."""
        return NETWORK if self.trial.number is None else ARCHITECTURE

    @property
    def all_epochs(self) -> int:
        """The epochs that the parameters were trained for, in all trainings."""
        start = self.retraining.started_from if self.retraining else None
        return self.accuracy.epochs + (start.epochs if start else 0)

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, "version": VERSION, **asdict(self)}


def from_json(value: object, source: str) -> Manifest:
    """Reads a manifest from a JSON object. Raises InputError, naming `source`, if it is invalid."""
    fields = unwrap(value, FORMAT, (1, VERSION), source)
    del fields["version"]
    return read(fields, Manifest, source)


def manifest_of(config: RunConfig, record: TrialRecord, sums: dict[str, str]) -> Manifest:
    """The manifest of a complete training; `sums` has the SHA-256 sum of each file by its name."""
    return manifest_on(config.request.dataset, config.data, config.request.seed, record, sums)


def manifest_on(
    dataset: str, facts: DataFacts, search_seed: int, record: TrialRecord, sums: dict[str, str]
) -> Manifest:
    """Likewise, on the data set of that name; `search_seed` is that of the network's search."""
    last = record.outcome.curve[-1]
    return Manifest(
        identity=record.subject.name,
        files={name: FileSum(digest) for name, digest in sums.items()},
        preprocessing=Preprocessing(facts.mean, facts.std, facts.image_shape),
        classes=facts.classes,
        data=Source(dataset, facts.fingerprint, facts.validation_size, facts.official),
        accuracy=Accuracy(last.val_accuracy, last.train_accuracy, record.epochs),
        recipe=record.recipe,
        trial=Origin(record.subject.trial, record.subject.seed, search_seed),
        environment=record.environment,
        engine=record.engine,
    )
