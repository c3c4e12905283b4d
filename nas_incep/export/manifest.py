"""The manifest of a bundle, manifest.json, as typed data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Optional

from msgspec import Meta

from .._formats import Fraction, Natural, Positive, PositiveAmount, read, unwrap
from ..errors import InputError
from ..recipe import Recipe
from ..records import FIRST_ENGINE, TrialRecord
from ..results.config import RunConfig

FORMAT = "nas-incep-bundle"
VERSION = 1
ARCHITECTURE, WEIGHTS, MANIFEST = "architecture.json", "weights.params", "manifest.json"
# The same network for other programs; a bundle may have some of them.
ONNX_MODEL, PROGRAM = "model.onnx", "model.pt2"
SYMBOL, SYMBOL_PARAMS = "model-symbol.json", "model-0000.params"
OPTIONAL = (ONNX_MODEL, SYMBOL, SYMBOL_PARAMS, PROGRAM)


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


@dataclass(frozen=True)
class Accuracy:
    """What was measured after the last epoch."""

    validation: Fraction
    train: Fraction
    epochs: Natural


@dataclass(frozen=True)
class Origin:
    """The trial that a network comes from."""

    number: Natural
    seed: Natural
    search_seed: Natural


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

    def __post_init__(self) -> None:
        for name in (ARCHITECTURE, WEIGHTS):
            if name not in self.files:
                raise InputError(f"files.{name} is missing")
        known = (ARCHITECTURE, WEIGHTS, *OPTIONAL)
        for name in self.files:
            if name not in known:
                raise InputError(f"files has {name[:80]!r}; the files are {', '.join(known)}")
        channels = self.preprocessing.input_shape[0]
        for name in ("mean", "std"):
            count = len(getattr(self.preprocessing, name))
            if count != channels:
                raise InputError(f"preprocessing.{name} has {count} values for {channels} channels")

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, "version": VERSION, **asdict(self)}


def from_json(value: object, source: str) -> Manifest:
    """Reads a manifest from a JSON object. Raises InputError, naming `source`, if it is invalid."""
    return read(unwrap(value, FORMAT, (VERSION,), source), Manifest, source)


def manifest_of(config: RunConfig, record: TrialRecord, sums: dict[str, str]) -> Manifest:
    """The manifest of a complete candidate; `sums` has the SHA-256 sum of each file by its name."""
    last = record.outcome.curve[-1]
    assert record.subject.trial is not None
    return Manifest(
        identity=record.subject.name,
        files={name: FileSum(digest) for name, digest in sums.items()},
        preprocessing=Preprocessing(config.data.mean, config.data.std, config.data.image_shape),
        classes=config.data.classes,
        data=Source(
            config.request.dataset,
            config.data.fingerprint,
            config.data.validation_size,
            config.data.official,
        ),
        accuracy=Accuracy(last.val_accuracy, last.train_accuracy, record.epochs),
        recipe=record.recipe,
        trial=Origin(record.subject.trial, record.subject.seed, config.request.seed),
        environment=record.environment,
        engine=record.engine,
    )
