"""What a search is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

from .._formats import LARGEST, Positive, PositiveAmount
from .._machine import FLOAT32, PRECISIONS
from ..datasets import Dataset, ImageForm, canonical_dataset, check_form, is_own, load
from ..errors import InputError
from ..rates import rate_for
from ..recipe import BASELINE_LRS, PRETRAINED, RECIPE, RULE, Recipe, derive_seed, own_settings
from ..records import BASELINE, FIDELITY, SEARCH, Subject
from ..spaces.space import MAX_LATENCY, SearchSpace
from .fidelity import Fidelity
from .finals import Finals
from .loggers import check_loggers
from .objectives import parse_objectives
from .pruning import Pruning
from .samplers import check_sampler
from .warm_start import WarmStart

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
    baseline_lr: str = RULE  # or RECIPE
    # By name, the learning rates of those that do not name one and have another than the recipe's.
    baseline_rates: dict[str, PositiveAmount] = field(default_factory=dict)
    finals: Finals = field(default_factory=Finals)  # likewise
    fidelity: Optional[Fidelity] = None  # None: it was not asked for
    deterministic: bool = False  # equal figures on a GPU, too
    warm_start: Optional[WarmStart] = None  # what is taken from an earlier run
    loggers: tuple[str, ...] = ()  # a call that resumes the run may name others

    def __post_init__(self) -> None:
        # Users may write `CIFAR-10`; the stored and compared name is `cifar10`.
        object.__setattr__(self, "dataset", canonical_dataset(self.dataset))
        check_form(self.dataset, self.image_form)
        if self.trials < 0:
            raise InputError(f"--trials {self.trials}: 0 or more are expected")
        if self.keep < 1:
            raise InputError(f"--keep {self.keep}: 1 or more is expected")
        if self.trial_timeout is not None and not self.trial_timeout > 0:
            raise InputError(f"--trial-timeout {self.trial_timeout}: a positive number is expected")
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
        if self.baseline_lr not in BASELINE_LRS:
            raise InputError(
                f"--baseline-lr {self.baseline_lr}: one of {', '.join(BASELINE_LRS)} is expected"
            )
        check_loggers(self.loggers)
        if self.warm_start:
            self.warm_start.check(self.space)

    def recipe_of(self, subject: Subject) -> Recipe:
        """The recipe of a training: a baseline may have settings of its own in its name."""
        own = own_settings(subject.name)
        if subject.is_baseline and subject.name in self.baseline_rates:
            own = {"learning_rate": self.baseline_rates[subject.name], **own}
        recipe = replace(self.recipe, **own)
        if subject.stage == FIDELITY and self.fidelity:
            return replace(recipe, epochs=self.fidelity.times * recipe.epochs)
        if subject.stage == SEARCH or not self.finals.epochs:
            return recipe
        return replace(recipe, epochs=self.finals.epochs)

    def baseline(self, spec: str) -> Subject:
        """The training of a baseline in the search; its name has no folder."""
        name = _without_folder(spec)
        return Subject(BASELINE, None, name, derive_seed(self.seed, "baseline", name))

    def with_rates(self, scales: Mapping[str, float | None]) -> SearchRequest:
        """The request with a rate for each baseline whose settings name none.

        `scales` has what its rate is multiplied by, by its name in the request.
        """
        rates: dict[str, float] = {}
        if self.baseline_lr == RECIPE:
            return replace(self, baseline_rates=rates)
        for spec in self.baselines:
            subject, scale = self.baseline(spec), scales.get(spec)
            own = own_settings(subject.name)
            if scale is None or "learning_rate" in own or own.get("initializer") == PRETRAINED:
                continue
            recipe = replace(self.recipe, **own)
            rate = rate_for(recipe, scale)
            if rate != recipe.learning_rate:
                rates[subject.name] = rate
        return replace(self, baseline_rates=rates)

    def resuming(self, begun: SearchRequest) -> SearchRequest:
        """The request for a run that has begun, with what is settled there for good."""
        # A baseline that has been trained with one rate is trained with it again.
        known = {begun.baseline(spec).name for spec in begun.baselines}
        new = {name: rate for name, rate in self.baseline_rates.items() if name not in known}
        return replace(
            self,
            baseline_rates={**new, **begun.baseline_rates},
            # The study was made with the space as it was then written, a range or a list, and with
            # what an earlier run had then.
            space=begun.space,
            warm_start=begun.warm_start,
        )

    def spec_of(self, subject: Subject) -> str:
        """How the user has named a baseline, which may be with a folder; empty for a candidate."""
        if not subject.is_baseline:
            return ""
        specs = {_without_folder(spec): spec for spec in self.baselines}
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
    def rates_text(self) -> str:
        """The learning rates of baselines that have one of their own, as a phrase, or nothing."""
        return ", ".join(f"{name} {rate:g}" for name, rate in self.baseline_rates.items())

    @property
    def objectives(self) -> tuple[str, ...]:
        return parse_objectives(self.objective)

    @property
    def first_points(self) -> list[dict[str, Any]]:
        """The trial parameters that are tried first, each once.

        Those of the space's reference architectures, then of what is taken from an earlier run.
        """
        points: list[dict[str, Any]] = []
        earlier = self.warm_start.points(self.space) if self.warm_start else []
        for point in (*self.space.reference_parameters(), *earlier):
            if point not in points:
                points.append(point)
        return points

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
            "warm_start": self.warm_start.to_json() if self.warm_start else None,
        }


def _without_folder(spec: str) -> str:
    """A baseline's name, which is the same on all machines."""
    return spec.rpartition("/")[2]
