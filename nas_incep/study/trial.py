"""A running trial of a study, as this process sees it."""

from __future__ import annotations

import warnings
from typing import Any

from optuna.trial import FrozenTrial, Trial

from .. import architecture as architectures
from ..architecture import Architecture
from ..errors import InputError
from ._optuna import FIRST_TRY, trial_id

# Attributes of a trial.
WORKER = "worker"  # the name of the worker that has it, empty without one
ARCHITECTURE = "architecture"  # stored once it is decided to train it
NETWORK = "network"  # version 0.1.0 wrote this instead: the architecture's identity
LATENCY = "latency_ms"


class StudyTrial:
    """A snapshot of a stored trial.

    If this process has asked for it, it can be sampled, as a `spaces.space.Trial`.
    """

    def __init__(self, stored: FrozenTrial, asked: Trial | None = None) -> None:
        self._stored, self._asked = stored, asked

    @property
    def number(self) -> int:
        return self._stored.number

    @property
    def id(self) -> int:
        """The storage's ID of the trial."""
        return trial_id(self._stored)

    @property
    def stored(self) -> FrozenTrial:
        return self._stored

    @property
    def is_asked(self) -> bool:
        """Whether this process has asked for it."""
        return self._asked is not None

    @property
    def asked(self) -> Trial:
        assert self._asked is not None  # the trial of another process cannot be sampled
        return self._asked

    @property
    def worker(self) -> str:
        """The name of the worker that has it; empty without one."""
        name = self._stored.user_attrs.get(WORKER)
        return name if isinstance(name, str) else ""

    @property
    def architecture(self) -> Architecture | None:
        """The architecture that it trains; None until it is decided to train it."""
        value = self._stored.user_attrs.get(ARCHITECTURE)
        try:
            return architectures.from_json(value, f"trial {self.number}") if value else None
        except InputError:  # another program has written it
            return None

    @property
    def network(self) -> str:
        """The identity of the architecture that it trains; empty until that is decided."""
        architecture = self.architecture
        if architecture:
            return architecture.identity
        return str(self._stored.user_attrs.get(NETWORK, ""))

    @property
    def latency_ms(self) -> float | None:
        value = self._stored.user_attrs.get(LATENCY)
        return float(value) if isinstance(value, (int, float)) and value >= 0 else None

    @property
    def retry_of(self) -> int | None:
        """The number of the killed trial that this one retries, if any."""
        number = self._stored.system_attrs.get(FIRST_TRY)
        return number if isinstance(number, int) and number >= 0 else None

    @property
    def origin(self) -> int:
        """The number of the trial that this one retries, or else its own."""
        return self.number if self.retry_of is None else self.retry_of

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        with _quiet_about_enqueued_points():
            return self.asked.suggest_int(name, low, high, step=step)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        with _quiet_about_enqueued_points():
            return self.asked.suggest_categorical(name, choices)


class _quiet_about_enqueued_points(warnings.catch_warnings):
    """Suppresses warnings about enqueued points outside the space, which the scheduler checks."""

    def __enter__(self) -> Any:
        found = super().__enter__()
        warnings.filterwarnings("ignore", "Fixed parameter", UserWarning)
        return found
