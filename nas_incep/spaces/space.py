"""Search spaces: which architectures a search may try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..architecture import Architecture, Block
from ..errors import InputError
from .training import TrainingDefaults

# The variants of a network that a space may vary, and their defaults.
VARIANTS = {"batch_norm": False, "relu_output": True, "same_shape": False}

# The only limit that does not follow from the architecture: it is measured on a device.
MAX_LATENCY = "max_latency_ms"


class Trial(Protocol):
    """What a space needs of an Optuna trial."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int: ...

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


@dataclass(frozen=True)
class Choice:
    """The distinct values that one parameter may take, ascending.

    `ordered` tells whether a sampler sees their order; of true and false it sees none.
    """

    values: tuple[Any, ...]
    ordered: bool = True

    @property
    def step(self) -> int:
        """The distance of evenly spaced values; 0 if they are not."""
        first, *others = self.values
        even = tuple(range(first, self.values[-1] + 1, others[0] - first)) if others else ()
        return others[0] - first if even == self.values else 0

    @property
    def by_index(self) -> bool:
        """Whether the sampler draws a position, because only that makes the order visible."""
        return self.ordered and len(self.values) > 1 and not self.step

    def parameter(self, name: str, value: Any) -> tuple[str, Any]:
        """The trial parameter, with its value, that makes `suggest` return `value`."""
        return (f"{name}.index", self.values.index(value)) if self.by_index else (name, value)

    def suggest(self, trial: Trial, name: str) -> Any:
        """The value that a trial chooses. Raises InputError if it chooses a missing position."""
        values = self.values
        if len(values) == 1:  # nothing to choose, so nothing to show the sampler
            return values[0]
        if not self.ordered:
            return trial.suggest_categorical(name, values)
        if self.step:
            return trial.suggest_int(name, values[0], values[-1], step=self.step)
        index = trial.suggest_int(f"{name}.index", 0, len(values) - 1)
        if not 0 <= index < len(values):  # another program can enqueue any number
            raise InputError(f"{name}.index is {index}: the last is {len(values) - 1}")
        return values[index]


@dataclass(frozen=True)
class SearchSpace:
    """A valid space: for each block the choice of each parameter, the variants, the limits.

    `blocks` has as many entries as the deepest architecture; `depth` chooses how many are used.
    `ordered_lists` tells whether the order of a list's numbers counts, as that of a range does; in
    runs of 0.1.0 it did not.
    """

    name: str
    description: str
    dataset: str  # the one that it is made for; may be empty
    depth: Choice
    blocks: tuple[dict[str, Choice], ...]
    variants: dict[str, Choice]
    limits: dict[str, float]
    references: tuple[dict[str, Any], ...]
    text: str  # of the file, stored with every run
    ordered_lists: bool = True
    # Not a part of what is searched, so a resumed run may have a file with others.
    training: TrainingDefaults = field(default_factory=TrainingDefaults)

    def to_json(self) -> dict[str, Any]:
        """Everything that decides which architectures are tried, without names and comments.

        It is the same for a range and for the list of its numbers.
        """
        return {
            "depth": list(self.depth.values),
            "blocks": [{k: list(c.values) for k, c in block.items()} for block in self.blocks],
            "variants": {key: list(choice.values) for key, choice in self.variants.items()},
            "limits": self.limits,
            "references": list(self.references),
        }

    def sample(self, trial: Trial, classes: int, input_shape: tuple[int, int, int]) -> Architecture:
        """The architecture that a trial chooses, for images of `input_shape` (channels, h, w).

        Raises InputError if it is impossible.
        """
        depth = self.depth.suggest(trial, "blocks")
        blocks = tuple(
            Block(*(choices[key].suggest(trial, f"b{b}.{key}") for key in Block._fields))
            for b, choices in enumerate(self.blocks[:depth])
        )
        variant = {key: choice.suggest(trial, key) for key, choice in self.variants.items()}
        return Architecture(blocks, classes=classes, input_shape=input_shape, **variant)

    def parameters_of(self, blocks: Any, variant: dict[str, Any]) -> dict[str, Any]:
        """The trial parameters that make `sample` return these blocks in this variant."""
        wanted: dict[str, tuple[Choice, Any]] = {"blocks": (self.depth, len(blocks))}
        for b, block in enumerate(blocks):
            for key, value in zip(Block._fields, block):
                wanted[f"b{b}.{key}"] = (self.blocks[b][key], value)
        for key, choice in self.variants.items():
            wanted[key] = (choice, variant[key])
        return dict(
            choice.parameter(name, value)
            for name, (choice, value) in wanted.items()
            if len(choice.values) > 1
        )

    def reference_parameters(self) -> list[dict[str, Any]]:
        """The trial parameters of each reference architecture."""
        return [self.parameters_of(ref["blocks"], ref) for ref in self.references]

    def outside(self, blocks: Any, variant: dict[str, Any]) -> list[str]:
        """Why an architecture is not in the space, regardless of limits; empty if it is."""
        if len(blocks) not in self.depth.values:
            allowed = ", ".join(map(str, self.depth.values))
            return [f"it has {len(blocks)} blocks, the space has {allowed}"]
        reasons = []
        for b, block in enumerate(blocks):
            for key, value in zip(Block._fields, block):
                if value not in self.blocks[b][key].values:
                    reasons.append(f"blocks[{b}].{key} is {value}, which the space does not offer")
        for key, choice in self.variants.items():
            if variant[key] not in choice.values:
                reasons.append(f"{key} is {variant[key]}, which the space does not offer")
        return reasons

    def contains(self, architecture: Architecture) -> bool:
        """Whether the architecture is in the space and within all limits except the latency's."""
        variant = {key: getattr(architecture, key) for key in VARIANTS}
        return not self.outside(architecture.blocks, variant) and not over_limits(
            self.limits, architecture
        )


def excess(limits: Mapping[str, float], architecture: Architecture) -> dict[str, float]:
    """How far each limit is exceeded, relative to it: 0.5 is 50 % too much, 0 or less is within.

    The limit on the latency is left out; `latency_excess` is for that, after the measurement.
    """
    result = {}
    for key, limit in limits.items():
        if key == MAX_LATENCY:
            continue
        part = _cost(architecture, key) / limit
        result[key] = part - 1 if key.startswith("max_") else 1 - part
    return result


def over_limits(limits: Mapping[str, float], architecture: Architecture) -> list[str]:
    """The limits that an architecture breaks, each as a phrase; empty if it is within all.

    The limit on the latency is left out, as in `excess`.
    """
    return [
        f"{key} is {limits[key]:,}, the architecture has {_cost(architecture, key):,}"
        for key, part in excess(limits, architecture).items()
        if part > 0
    ]


def latency_excess(limits: Mapping[str, float], latency_ms: float) -> float | None:
    """How far a measured latency exceeds its limit, relative to it; None if it does not."""
    limit = limits.get(MAX_LATENCY)
    return latency_ms / limit - 1 if limit is not None and latency_ms > limit else None


def over_latency(limits: Mapping[str, float], latency_ms: float) -> list[str]:
    """The limit that a measured latency breaks, as a phrase like those from `over_limits`."""
    if latency_excess(limits, latency_ms) is None:
        return []
    return [f"{MAX_LATENCY} is {limits[MAX_LATENCY]:,}, the network takes {latency_ms:,.3f} ms"]


def _cost(architecture: Architecture, limit: str) -> int:
    return architecture.macs if limit.endswith("macs") else architecture.parameters
