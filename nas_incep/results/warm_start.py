"""Networks of an earlier run that a search trains first, as its request has them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .._formats import LARGEST, Natural, Positive
from ..architecture import Architecture
from ..errors import InputError
from ..spaces.space import VARIANTS, SearchSpace

TOP = 5  # how many networks are taken unless another number is asked for

_Block = tuple[Positive, Positive, Positive, Positive, Positive, Positive, Positive]


@dataclass(frozen=True)
class EarlierNetwork:
    """A candidate of the earlier run: its number there, its blocks, and its variant."""

    trial: Natural
    blocks: tuple[_Block, ...]
    batch_norm: bool
    relu_output: bool
    same_shape: bool

    @classmethod
    def of(cls, trial: int, architecture: Architecture) -> EarlierNetwork:
        variant = {key: getattr(architecture, key) for key in VARIANTS}
        return cls(trial, tuple((*block,) for block in architecture.blocks), **variant)

    @property
    def variant(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in VARIANTS}


@dataclass(frozen=True)
class WarmStart:
    """The run whose best networks are trained first, how many at most, and which those are.

    What is taken is decided once, when the search begins, and nothing else is read of that run.
    Raises InputError for an invalid value.
    """

    run: str  # an absolute path
    top: Positive = TOP
    networks: tuple[EarlierNetwork, ...] = ()  # none before the search begins; the best first

    def __post_init__(self) -> None:
        if not 1 <= self.top <= LARGEST:
            raise InputError(f"--from-top {self.top}: 1 to {LARGEST} is expected")
        try:
            self.run.encode()
        except UnicodeEncodeError:
            raise InputError(f"--from {self.run!r}: a name in UTF-8 is expected") from None

    def check(self, space: SearchSpace) -> None:
        """Raises InputError if a network is not in the space, regardless of limits."""
        for network in self.networks:
            outside = space.outside(network.blocks, network.variant)
            if outside:
                raise InputError(f"warm_start: trial {network.trial} of it: {outside[0]}")

    def points(self, space: SearchSpace) -> list[dict[str, Any]]:
        """The trial parameters of the networks, the best first."""
        return [space.parameters_of(network.blocks, network.variant) for network in self.networks]

    def identity(self) -> dict[str, Any]:
        """What a command must share with a run that was begun with it."""
        return {"run": self.run, "top": self.top}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
