"""The finals: which networks are trained again with fresh seeds, and which of them wins.

The plan follows from the records alone, so every worker makes the same one, at any time, and a
killed search goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Optional

import numpy as np
from msgspec import Meta

from .._formats import Positive
from ..errors import InputError
from ..records import COMPLETE, CONFIRMATION, FINALS, Subject, TrialRecord
from .standings import Network, critical_difference, network_of, pooled_noise

MAX_SHARE = 0.9
SHARE = 0.3  # the default
# Fewer trainings than this leave none for a choice between two and a confirmation.
LEAST_BUDGET = 3
# A contender leaves the race once it is this surely worse than the leader. It only decides where
# seeds are spent: what is published uses `standings.LEVEL`.
DROP_LEVEL = 0.8
# The races aim at this many seeds for each contender.
SEEDS = 3


@dataclass(frozen=True)
class Finals:
    """How much of a search its finals are. Raises InputError for an invalid value."""

    share: Annotated[float, Meta(ge=0, le=MAX_SHARE)] = 0.0  # of all image passes of candidates
    epochs: Optional[Positive] = None  # of each training; None: as many as in the search

    def __post_init__(self) -> None:
        if not 0 <= self.share <= MAX_SHARE:
            raise InputError(f"--finals {self.share}: none or 0 to {MAX_SHARE} is expected")
        if self.epochs is not None and self.epochs < 1:
            raise InputError(f"--final-epochs {self.epochs}: 1 or more is expected")
        if not self.share and self.epochs:
            raise InputError(f"--final-epochs {self.epochs}: --finals none has no finals")

    def budget(self, candidates: Sequence[TrialRecord], epochs: int) -> int:
        """How many trainings of candidates the finals of a search with these records have.

        `epochs` are those of a training in the search. Pruned candidates count by their epochs.
        """
        searched = sum(record.epochs for record in candidates) / (self.epochs or epochs)
        # The sum of many equal parts may be a hair below a whole number.
        return math.floor(self.share / (1 - self.share) * searched + 0.5 + 1e-9)


@dataclass(frozen=True)
class Race:
    """Where the finals are: who is in them, who leads, and which trainings they want next.

    `dropped` has the networks that have left the race, with the round after which they did.
    """

    contenders: tuple[TrialRecord, ...]  # their records of the search, best first
    winner: TrialRecord | None  # None until the race is over
    wanted: tuple[Subject, ...]
    dropped: Mapping[Network, int] = field(default_factory=dict)


def race(
    finals: Finals,
    seed: int,
    epochs: int,
    ranked: Sequence[TrialRecord],
    reruns: Sequence[TrialRecord],
    most: int,
    pending: Sequence[Subject] = (),
) -> Race:
    """The state of the finals of a search with seed `seed`, whose trainings have `epochs` epochs.

    `ranked` are the records of the search, best first, `reruns` those of the finals and the
    confirmation; at most `most` candidates take part. `pending` are the baselines that the search
    has yet to train; they come last.
    """
    candidates = [record for record in ranked if not record.subject.is_baseline]
    complete = [record for record in candidates if record.outcome.state == COMPLETE]
    budget = finals.budget(candidates, epochs)
    if not finals.share or budget < LEAST_BUDGET or len(complete) < 2 or most < 2:
        return Race((), None, ())
    confirmations = 2 if budget >= 2 * LEAST_BUDGET else 1
    left = budget - confirmations
    contenders = tuple(complete[: min(most, max(2, round(left / SEEDS)))])
    done = {(network_of(r.subject), r.subject.stage, r.subject.repeat): r for r in reruns}
    active, wanted, dropped = _run(contenders, done, left)
    if not active:  # all have failed
        return Race(contenders, None, (), dropped)
    over = not wanted
    if over:
        wanted = _missing([active[0].subject], CONFIRMATION, confirmations, done)
    # A baseline was not chosen, so its first seed counts, too, if it was trained as long. It is
    # often the largest network, and need wait neither for the winner nor for its own first seed.
    seeds = confirmations if finals.epochs not in (None, epochs) else 1
    baselines = [r for r in ranked if r.subject.is_baseline and r.outcome.state == COMPLETE]
    subjects = [*(record.subject for record in baselines), *pending]
    again = _missing(subjects, CONFIRMATION, seeds, done)
    stage = CONFIRMATION if over else FINALS
    return Race(
        contenders,
        active[0] if over else None,
        (
            *(subject.again(seed, stage, repeat) for subject, repeat in wanted),
            *(subject.again(seed, CONFIRMATION, repeat) for subject, repeat in again),
        ),
        dropped,
    )


_Done = dict[tuple[Network, str, int], TrialRecord]
_Rerun = tuple[Subject, int]  # a network's first training, how many there are then in its stage


def _missing(subjects: Sequence[Subject], stage: str, seeds: int, done: _Done) -> list[_Rerun]:
    return [
        (subject, repeat)
        for subject in subjects
        for repeat in range(1, seeds + 1)
        if (network_of(subject), stage, repeat) not in done
    ]


def _run(
    contenders: Sequence[TrialRecord], done: _Done, left: int
) -> tuple[list[TrialRecord], list[_Rerun], dict[Network, int]]:
    """Those still in the race, best first; the trainings that its present round lacks; the others.

    Of the others, which have dropped out, the third tells after which round.

    In each round everyone who is left is trained once more, until one is left alone or `left`
    trainings are used up; if a whole round is too many, those ahead have it.
    """
    active, repeat = list(contenders), 1
    dropped: dict[Network, int] = {}
    while left > 0 and active and (len(active) > 1 or repeat == 1):
        round_of = active[:left]
        subjects = [record.subject for record in round_of]
        missing = [s for s in subjects if (network_of(s), FINALS, repeat) not in done]
        if missing:
            return active, [(subject, repeat) for subject in missing], dropped
        left -= len(round_of)
        before, active = active, _survivors(active, done, repeat)
        names = {network_of(record.subject) for record in active}
        gone = {network_of(record.subject) for record in before} - names
        dropped.update(dict.fromkeys(gone, repeat))
        repeat += 1
    return active, [], dropped


def _survivors(active: Sequence[TrialRecord], done: _Done, rounds: int) -> list[TrialRecord]:
    """Those that may still be the best after some rounds, best first; without any that failed."""
    seeds = {}
    for record in active:
        network = network_of(record.subject)
        keys = [(network, FINALS, repeat) for repeat in range(1, rounds + 1)]
        ends = [done[key] for key in keys if key in done]
        if all(end.outcome.state == COMPLETE for end in ends):
            seeds[network] = [end.val_accuracy or 0.0 for end in ends]
    left = [record for record in active if network_of(record.subject) in seeds]
    # A stable sort: equal ones stay in the order of the search.
    left.sort(key=lambda record: -float(np.mean(seeds[network_of(record.subject)])))
    noise = pooled_noise(seeds.values())
    if noise is None or len(left) < 2:
        return left
    best = seeds[network_of(left[0].subject)]
    limit = critical_difference(2, noise.freedom, DROP_LEVEL) * noise.deviation

    def may_win(record: TrialRecord) -> bool:
        own = seeds[network_of(record.subject)]
        error = math.sqrt(1 / len(best) + 1 / len(own))
        return float(np.mean(best) - np.mean(own)) <= limit * error

    return [record for record in left if may_win(record)]
