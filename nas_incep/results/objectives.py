"""What a search strives for: accuracy, and what it may cost. Pure: records in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from ..errors import InputError
from ..records import COMPLETE, TrialRecord

# The objectives, and what a record has reached in each.
OBJECTIVES: dict[str, Callable[[TrialRecord], float | None]] = {
    "accuracy": lambda record: record.val_accuracy,
    "macs": lambda record: record.outcome.macs,
    "params": lambda record: record.outcome.parameters,
    "latency": lambda record: record.outcome.latency_ms,
}
# What a search strives for unless it is told otherwise.
ACCURACY = ("accuracy",)


def parse_objectives(text: str) -> tuple[str, ...]:
    """The objectives of a text like `accuracy,macs`. Raises InputError."""
    objectives = tuple(part.strip() for part in text.split(","))
    costs = [name for name in OBJECTIVES if name != "accuracy"]
    if (
        objectives[0] != "accuracy"
        or len(set(objectives)) < len(objectives)
        or not set(objectives) <= set(OBJECTIVES)
    ):
        raise InputError(
            f"--objective {text!r}: accuracy is expected, alone or before distinct ones of "
            f"{', '.join(costs)}, with commas between"
        )
    return objectives


def directions(objectives: Sequence[str]) -> list[Literal["maximize", "minimize"]]:
    """Which way each objective is better, in Optuna's words."""
    return ["maximize" if name == "accuracy" else "minimize" for name in objectives]


def values(record: TrialRecord, objectives: Sequence[str]) -> list[float] | None:
    """What a record reached in each objective: a part of 1, counts, milliseconds.

    None unless it is complete and has a finite value of each.
    """
    if record.outcome.state != COMPLETE:
        return None
    found = [OBJECTIVES[name](record) for name in objectives]
    finite = [float(value) for value in found if value is not None and math.isfinite(value)]
    return finite if len(finite) == len(found) else None


def pareto_front(records: Sequence[TrialRecord], objectives: Sequence[str]) -> list[TrialRecord]:
    """The complete records that no other one dominates, in the order given.

    A record dominates another one if it is nowhere worse and somewhere better, so equal ones stay
    together. One that lacks a value of some objective is not compared at all.
    """
    compared = [
        (record, found) for record in records if (found := values(record, objectives)) is not None
    ]
    if not compared:
        return []
    signs = [-1.0 if way == "maximize" else 1.0 for way in directions(objectives)]
    costs = np.array([found for _, found in compared]) * signs
    # In lexicographic order nothing that comes later dominates the first, and what the first does
    # not dominate is somewhere better than it.
    rest = np.unique(costs, axis=0)
    front = set()
    while len(rest):
        front.add(tuple(rest[0]))
        rest = rest[(rest < rest[0]).any(axis=1)]
    return [record for (record, _), cost in zip(compared, costs) if tuple(cost) in front]
