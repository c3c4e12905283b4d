"""The objectives of a search: accuracy, and the costs of a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from ..errors import InputError
from ..records import COMPLETE, TrialRecord

# The objectives by name, with the value of a record in each.
OBJECTIVES: dict[str, Callable[[TrialRecord], float | None]] = {
    "accuracy": lambda record: record.val_accuracy,
    "macs": lambda record: record.outcome.macs,
    "params": lambda record: record.outcome.parameters,
    "latency": lambda record: record.outcome.latency_ms,
}
# The default.
ACCURACY = ("accuracy",)


def parse_objectives(text: str) -> tuple[str, ...]:
    """The objectives named by a text like `accuracy,macs`. Raises InputError if it is invalid."""
    objectives = tuple(part.strip() for part in text.split(","))
    costs = [name for name in OBJECTIVES if name != "accuracy"]
    if (
        objectives[0] != "accuracy"
        or len(set(objectives)) < len(objectives)
        or not set(objectives) <= set(OBJECTIVES)
    ):
        raise InputError(
            f"--objective {text!r}: accuracy is expected, alone or followed by distinct ones of "
            f"{', '.join(costs)}, separated by commas"
        )
    return objectives


def directions(objectives: Sequence[str]) -> list[Literal["maximize", "minimize"]]:
    """The direction in which each objective improves, as Optuna names it."""
    return ["maximize" if name == "accuracy" else "minimize" for name in objectives]


def values(record: TrialRecord, objectives: Sequence[str]) -> list[float] | None:
    """A record's value in each objective: accuracy as a fraction, counts, milliseconds.

    None unless the record is complete and every value is finite.
    """
    if record.outcome.state != COMPLETE:
        return None
    found = [OBJECTIVES[name](record) for name in objectives]
    finite = [float(value) for value in found if value is not None and math.isfinite(value)]
    return finite if len(finite) == len(found) else None


def pareto_front(records: Sequence[TrialRecord], objectives: Sequence[str]) -> list[TrialRecord]:
    """The complete records that no other record dominates, in the given order.

    A record dominates another if it is worse in no objective and better in at least one, so equal
    records are on the front together. Records without a value for some objective are left out.
    """
    compared = [
        (record, found) for record in records if (found := values(record, objectives)) is not None
    ]
    if not compared:
        return []
    signs = [-1.0 if way == "maximize" else 1.0 for way in directions(objectives)]
    costs = np.array([found for _, found in compared]) * signs
    # In lexicographic order, no later row dominates the first one, and a row that the first one
    # does not dominate is better in some objective.
    rest = np.unique(costs, axis=0)
    front = set()
    while len(rest):
        front.add(tuple(rest[0]))
        rest = rest[(rest < rest[0]).any(axis=1)]
    return [record for (record, _), cost in zip(compared, costs) if tuple(cost) in front]
