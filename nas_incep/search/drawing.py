"""Where the candidates of a search come from: what a trial draws becomes a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..architecture import Architecture
from ..datasets import DatasetInfo
from ..errors import InputError
from ..spaces.counting import count
from ..spaces.space import VARIANTS, SearchSpace, Trial, over_limits


@dataclass(frozen=True)
class Drawn:
    """A network that a trial has drawn."""

    name: str
    parameters: int
    macs: int
    architecture: Architecture | None = None  # None: it is known by its name alone
    broken: tuple[str, ...] = ()  # the limits of the space that it breaks, each as a phrase


class Source(Protocol):
    """What a scheduler needs to know of a space."""

    size: int  # how many networks can be drawn

    def draw(self, trial: Trial) -> Drawn:
        """The network of a trial. Raises InputError if the trial has drawn an impossible one."""
        ...


class SpaceSource:
    """The architectures of a search space on a data set."""

    def __init__(self, space: SearchSpace, info: DatasetInfo) -> None:
        self._space, self._info = space, info
        self.size = count(space, len(info.classes), info.image_shape)

    def draw(self, trial: Trial) -> Drawn:
        space, info = self._space, self._info
        try:
            architecture = space.sample(trial, len(info.classes), info.image_shape)
        except InputError:
            raise
        except ValueError as error:  # another program has enqueued a point outside the space
            raise InputError(f"outside the space: {error}") from None
        variant = {key: getattr(architecture, key) for key in VARIANTS}
        outside = space.outside(architecture.blocks, variant)
        if outside:
            raise InputError(f"outside the space: {'; '.join(outside)}")
        return Drawn(
            architecture.identity,
            architecture.parameters,
            architecture.macs,
            architecture,
            tuple(over_limits(space.limits, architecture)),
        )
