"""The configuration of a run as stored in run.json; a command reads it once and passes it on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional, Union

from .._formats import Positive, PositiveAmount, read, unwrap
from ..datasets import Dataset, is_own
from ..errors import InputError
from ..recipe import own_settings
from ..records import Outcome, Subject, TrialRecord, now
from ..spaces.reader import LIMITS, parse_space, with_limits
from .config_versions import from_version_3
from .request import SearchRequest

FORMAT = "nas-incep-run"
VERSION = 5


@dataclass(frozen=True)
class DataFacts:
    """What a run stores about its data set: enough to recognize it and to prepare images."""

    fingerprint: str  # of all images and labels and of the split
    validation_size: Positive
    classes: tuple[str, ...]
    image_shape: tuple[Positive, Positive, Positive]  # (channels, height, width)
    mean: tuple[float, ...]  # of each channel, in units of pixel / 255
    std: tuple[PositiveAmount, ...]
    official: Optional[bool]  # the files are the published ones; None: there are none

    @classmethod
    def of(cls, dataset: Dataset) -> DataFacts:
        """The facts of a loaded data set."""
        return cls(
            fingerprint=dataset.fingerprint,
            validation_size=len(dataset.validation.labels),
            classes=tuple(dataset.info.classes),
            image_shape=dataset.info.image_shape,
            mean=dataset.mean,
            std=dataset.std,
            official=dataset.official,
        )


@dataclass(frozen=True)
class StudyPlace:
    """Where the study of a run is."""

    name: str  # many runs may share a database
    storage: Optional[str]  # the database's URL without password; None: the run folder's journal
    heartbeat: Positive  # seconds; all workers must agree on it


@dataclass(frozen=True)
class RunConfig:
    """Everything that a process must know to work on a run.

    `precision` is the precision chosen for `request.precision`, None until it is known; `called`
    is when the last call of `search` started, None until workers may join.
    """

    engine: str
    request: SearchRequest
    data: DataFacts
    study: StudyPlace
    precision: Optional[str]
    called: Optional[str]
    created: str
    versions: dict[str, str]  # of the call that created the run

    def identity(self) -> dict[str, Any]:
        """The settings that a command must share with a run to resume it."""
        request = self.request
        return {
            "engine": self.engine,
            "space": request.space.to_json(),
            # One's own data may be moved: they are the same if their fingerprint is.
            "dataset": "own" if is_own(request.dataset) else request.dataset,
            "image_form": asdict(request.image_form),
            "validation_size": self.data.validation_size,
            "data_fingerprint": self.data.fingerprint,
            "recipe": request.recipe.to_json(),
            "objective": request.objective,
            "sampler": request.sampler,
            "pruning": asdict(request.pruning),
            "seed": request.seed,
            "precision": request.precision,
            "deterministic": request.deterministic,
            "warm_start": request.warm_start.identity() if request.warm_start else None,
        }

    def differences(self, other: RunConfig) -> list[str]:
        """Why a command with configuration `other` cannot resume this run, as phrases."""
        return [f"{place} was {old!r}, now {new!r}" for place, old, new in self.changes(other)]

    def changes(self, other: RunConfig) -> list[tuple[str, Any, Any]]:
        """Where the identity of `other` differs: the place, the value here, the value there."""
        return changes_of(self.identity(), other.identity())

    def record(
        self, subject: Subject, outcome: Outcome, environment: dict[str, Any], seconds: float
    ) -> TrialRecord:
        """The record of a trial of this run that has just ended, `seconds` after its start."""
        return TrialRecord(
            subject=subject,
            outcome=outcome,
            engine=self.engine,
            recipe=self.request.recipe_of(subject),
            data_fingerprint=self.data.fingerprint,
            environment=environment,
            finished=now(),
            seconds=seconds,
        )

    def to_json(self) -> dict[str, Any]:
        """The object in run.json, without `precision` and `called` until they are known."""
        known = {k: v for k, v in (("precision", self.precision), ("called", self.called)) if v}
        return {
            "format": FORMAT,
            "version": VERSION,
            "engine": self.engine,
            "request": self.request.to_json(),
            "data": asdict(self.data),
            "study": asdict(self.study),
            "created": self.created,
            "versions": self.versions,
            **known,
        }


@dataclass(frozen=True)
class _SpaceText:
    """A search space in run.json: the text of its file, and the limits after changes by options.

    In files without `ordered_lists` the study was made before the order of lists counted.
    """

    name: str
    text: str
    limits: dict[str, Union[Positive, PositiveAmount]]
    ordered_lists: bool = False


def from_json(value: object, source: str, recorded: Sequence[str] = ()) -> RunConfig:
    """Reads the configuration in run.json, of this version or of versions 3 and 4.

    Those did not name the baselines that were asked for: they are then `recorded`. Raises
    InputError, naming `source`, if it is invalid.
    """
    fields = unwrap(value, FORMAT, (3, 4, VERSION), source)
    version = fields.pop("version")
    if version == 3:
        fields = from_version_3(fields, source)
    if version < 5 and isinstance(fields.get("request"), dict):
        fields["request"] = {"baselines": recorded, **fields["request"]}
    if "request" in fields:
        fields["request"] = _request(fields["request"], source)
    config = read({"precision": None, "called": None, **fields}, RunConfig, source)
    for spec in config.request.baselines:
        try:
            own_settings(spec.rpartition("/")[2])  # refuses functions: a file may not name code
        except InputError as error:
            raise InputError(f"{source}: request.baselines has {spec[:150]!r}: {error}") from None
    return config


def _request(value: Any, source: str) -> Any:
    """The request of a JSON object; any other value unchanged, for `read` to refuse."""
    if not isinstance(value, dict):
        return value
    fields = dict(value)
    if "space" in fields:
        kept = read(fields["space"], _SpaceText, source, "request.space")
        space = parse_space(kept.text, kept.name, f"{source}: request.space", kept.ordered_lists)
        for key in kept.limits:
            if key not in LIMITS:
                raise InputError(f"{source}: request.space.limits has {key!r}, which is no limit")
        fields["space"] = with_limits(space, kept.limits)
    if isinstance(fields.get("data_dir"), str):
        fields["data_dir"] = Path(fields["data_dir"])
    return read(fields, SearchRequest, source, "request")


def changes_of(old: Any, new: Any, place: str = "") -> list[tuple[str, Any, Any]]:
    """Where two JSON values differ, with the value in each."""
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        return [
            change
            for key in keys
            for change in changes_of(old.get(key), new.get(key), f"{place}.{key}".strip("."))
        ]
    return [(place, old, new)]
