"""The configuration of a run as stored in run.json; a command reads it once and passes it on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Optional, Union

from .._formats import LARGEST, Positive, PositiveAmount, read, unwrap
from .._machine import FLOAT32, PRECISIONS
from ..datasets import Dataset, ImageForm, canonical_dataset, check_form, is_own, load
from ..errors import InputError
from ..recipe import Recipe, own_settings
from ..records import FIDELITY, SEARCH, Outcome, Subject, TrialRecord, now
from ..spaces.reader import LIMITS, parse_space, with_limits
from ..spaces.space import MAX_LATENCY, SearchSpace
from .config_versions import from_version_3
from .fidelity import Fidelity
from .finals import Finals
from .objectives import parse_objectives
from .pruning import Pruning
from .samplers import check_sampler

FORMAT = "nas-incep-run"
VERSION = 5
AUTO = "auto"


@dataclass(frozen=True)
class SearchRequest:
    """What a search is asked to do. Raises InputError for invalid or conflicting options."""

    space: SearchSpace
    recipe: Recipe
    trials: int  # candidates to train; duplicates and over-budget samples do not count
    dataset: str = "digits"  # or the absolute path of one's own data
    data_dir: Optional[Path] = None
    image_form: ImageForm = field(default_factory=ImageForm)  # of one's own data
    validation_size: Optional[Positive] = None  # None: the data set's usual one
    seed: int = 0
    objective: str = "accuracy"  # alone or followed by others, separated by commas
    sampler: str = "tpe"
    pruning: Pruning = field(default_factory=Pruning)
    latency: bool = False  # measure it even if no objective and no limit needs it
    keep: Positive = 10  # how many of the best candidates keep their parameters
    trial_timeout: Optional[PositiveAmount] = None  # seconds for one training
    precision: str = FLOAT32  # of the candidates' training; auto: the fastest
    baselines: tuple[str, ...] = ()  # a call that resumes the run may name others
    finals: Finals = field(default_factory=Finals)  # likewise
    fidelity: Optional[Fidelity] = None  # None: it was not asked for
    deterministic: bool = False  # equal figures on a GPU, too

    def __post_init__(self) -> None:
        # Users may write `CIFAR-10`; the stored and compared name is `cifar10`.
        object.__setattr__(self, "dataset", canonical_dataset(self.dataset))
        check_form(self.dataset, self.image_form)
        if self.trials < 0:
            raise InputError(f"--trials {self.trials}: 0 or more are expected")
        if not 0 <= self.seed <= LARGEST:  # a larger one could be written, but not read again
            raise InputError(f"--seed {self.seed}: 0 to {LARGEST} is expected")
        objectives = parse_objectives(self.objective)
        # A normal form, so that texts with the same meaning compare equal.
        object.__setattr__(self, "objective", ",".join(objectives))
        check_sampler(self.sampler, objectives)
        precisions = (*PRECISIONS, AUTO)
        if self.precision not in precisions:
            raise InputError(
                f"--precision {self.precision}: one of {', '.join(precisions)} is expected"
            )
        if len(objectives) > 1 and self.pruning.name != "none":
            raise InputError(
                f"--pruner {self.pruning.name}: only --objective accuracy can be pruned, "
                f"not {self.objective}"
            )
        if len(objectives) > 1 and self.finals.share:
            raise InputError(
                f"--finals {self.finals.share:g}: only --objective accuracy has finals, "
                f"not {self.objective}"
            )

    def recipe_of(self, subject: Subject) -> Recipe:
        """The recipe of a training: a baseline may have settings of its own in its name."""
        recipe = replace(self.recipe, **own_settings(subject.name))
        if subject.stage == FIDELITY and self.fidelity:
            return replace(recipe, epochs=self.fidelity.times * recipe.epochs)
        if subject.stage == SEARCH or not self.finals.epochs:
            return recipe
        return replace(recipe, epochs=self.finals.epochs)

    def spec_of(self, subject: Subject) -> str:
        """How the user has named a baseline, which may be with a folder; empty for a candidate."""
        if not subject.is_baseline:
            return ""
        specs = {spec.rpartition("/")[2]: spec for spec in self.baselines}
        return specs.get(subject.name, subject.name)

    def load_data(self) -> Dataset:
        """The training part of the data, split. Raises InputError as `datasets.load` does."""
        return load(self.dataset, self.data_dir, self.validation_size, form=self.image_form)

    def settled(self, dataset: Dataset) -> SearchRequest:
        """The request with nothing left to decide about images of one's own."""
        if not is_own(self.dataset):
            return self
        form = ImageForm.of(dataset.info.image_shape, self.image_form.flip)
        return replace(self, image_form=form)

    @property
    def objectives(self) -> tuple[str, ...]:
        return parse_objectives(self.objective)

    @property
    def measures_latency(self) -> bool:
        limited = MAX_LATENCY in self.space.limits
        return self.latency or limited or "latency" in self.objectives

    def to_json(self) -> dict[str, Any]:
        space = self.space
        return {
            **vars(self),
            "space": {
                "name": space.name,
                "text": space.text,
                "limits": space.limits,
                "ordered_lists": space.ordered_lists,
            },
            "recipe": self.recipe.to_json(),
            # A worker may have another working directory.
            "data_dir": str(self.data_dir.absolute()) if self.data_dir else None,
            "image_form": asdict(self.image_form),
            "pruning": asdict(self.pruning),
            "finals": asdict(self.finals),
            "fidelity": asdict(self.fidelity) if self.fidelity else None,
        }


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
        }

    def differences(self, other: RunConfig) -> list[str]:
        """Why a command with configuration `other` cannot resume this run, as phrases."""
        return [f"{place} was {old!r}, now {new!r}" for place, old, new in self.changes(other)]

    def changes(self, other: RunConfig) -> list[tuple[str, Any, Any]]:
        """Where the identity of `other` differs: the place, the value here, the value there."""
        return _changes(self.identity(), other.identity())

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
    return read({"precision": None, "called": None, **fields}, RunConfig, source)


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


def _changes(old: Any, new: Any, place: str = "") -> list[tuple[str, Any, Any]]:
    """Where two JSON values differ, with the value in each."""
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        return [
            change
            for key in keys
            for change in _changes(old.get(key), new.get(key), f"{place}.{key}".strip("."))
        ]
    return [(place, old, new)]
