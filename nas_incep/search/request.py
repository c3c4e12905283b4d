"""What a search is asked to do, and its form in the run folder, from which any worker takes it."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .._machine import FLOAT32, PRECISIONS
from ..datasets import Dataset
from ..errors import InputError
from ..recipe import Recipe
from ..results.objectives import parse_objectives
from ..spaces.reader import parse_space, with_limits
from ..spaces.space import MAX_LATENCY, SearchSpace
from ..study.pruners import Pruning
from ..study.samplers import check_sampler

AUTO = "auto"


@dataclass(frozen=True)
class SearchRequest:
    """What a search is asked to do. Raises InputError for what cannot be asked."""

    space: SearchSpace
    recipe: Recipe
    trials: int  # candidates to train; repetitions and over-budget samples do not count
    dataset: str = "digits"
    data_dir: Path | None = None
    validation_size: int | None = None  # None: the data set's usual one
    seed: int = 0
    objective: str = "accuracy"  # or with others, separated by commas
    sampler: str = "tpe"
    pruning: Pruning = field(default_factory=Pruning)
    latency: bool = False  # measured even where no objective and no limit asks for it
    keep: int = 10  # how many of the best candidates keep their parameters
    trial_timeout: float | None = None  # seconds for one training
    precision: str = FLOAT32  # of the candidates' training; auto: what is fastest

    def __post_init__(self) -> None:
        if self.trials < 0:
            raise InputError(f"--trials {self.trials}: 0 or more are expected")
        if self.seed < 0:
            raise InputError(f"--seed {self.seed}: 0 or more is expected")
        check_sampler(self.sampler, self.objectives)
        precisions = (*PRECISIONS, AUTO)
        if self.precision not in precisions:
            raise InputError(
                f"--precision {self.precision}: one of {', '.join(precisions)} is expected"
            )
        if len(self.objectives) > 1 and self.pruning.name != "none":
            raise InputError(
                f"--pruner {self.pruning.name}: only --objective accuracy can be pruned, "
                f"not {self.objective}"
            )

    @property
    def objectives(self) -> tuple[str, ...]:
        return parse_objectives(self.objective)

    @property
    def measures_latency(self) -> bool:
        limited = MAX_LATENCY in self.space.limits
        return self.latency or limited or "latency" in self.objectives

    def to_json(self) -> dict[str, Any]:
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            **plain,
            "space": {
                "name": self.space.name,
                "text": self.space.text,
                "limits": self.space.limits,
            },
            "recipe": self.recipe.to_json(),
            "data_dir": str(self.data_dir) if self.data_dir else None,
            "pruning": asdict(self.pruning),
        }


def from_json(value: Any, source: str) -> SearchRequest:
    """The request that `to_json` wrote. Raises InputError, naming `source`."""
    try:
        fields = dict(value)
        space = fields["space"]
        fields["space"] = with_limits(
            parse_space(space["text"], space["name"], source), space["limits"]
        )
        fields["recipe"] = Recipe(**fields["recipe"])
        fields["data_dir"] = Path(fields["data_dir"]) if fields["data_dir"] else None
        fields["pruning"] = Pruning(**fields["pruning"])
        return SearchRequest(**fields)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source}: not a whole search request: {error}") from None


def identity(request: SearchRequest, dataset: Dataset) -> dict[str, Any]:
    """What two commands must share so that one can go on with the other's run."""
    return {
        "space": request.space.to_json(),
        "dataset": request.dataset,
        "validation_size": len(dataset.validation.labels),
        "data_fingerprint": dataset.fingerprint,
        "recipe": request.recipe.to_json(),
        "objective": request.objective,
        "sampler": request.sampler,
        "pruning": asdict(request.pruning),
        "seed": request.seed,
        "precision": request.precision,
    }
