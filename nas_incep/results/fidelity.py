"""How far a ranking can be believed: some of its networks trained longer, with several seeds.

The networks are the best of the ranking and random ones from all of it. The agreement of the brief
ranking with the long trainings is estimated for all candidates, by weighting the random ones and
the pairs of them (Horvitz and Thompson, 1952).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from .._formats import Natural, Positive
from .._text import counted
from ..errors import InputError
from ..recipe import derive_seed
from ..records import COMPLETE, FIDELITY, Subject, TrialRecord
from .agreement import Estimate, agreements, recall, regret
from .standings import network_of

LEAST = 4  # networks; fewer have no order to speak of
MAX_SEEDS, MAX_TIMES = 100, 1000


@dataclass(frozen=True)
class Fidelity:
    """How a ranking is checked. Raises InputError for an invalid value."""

    networks: Positive = 12  # drawn at random from the whole ranking
    top: Natural = 4  # the best ones, in any case
    seeds: Annotated[int, Meta(ge=2, le=MAX_SEEDS)] = 2  # for each network
    times: Annotated[int, Meta(ge=1, le=MAX_TIMES)] = 4  # as many epochs as the search has

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise InputError(f"--seeds {self.seeds}: 2 or more show the noise of long trainings")
        for name, least in (("networks", 1), ("top", 0), ("times", 1)):
            if getattr(self, name) < least:
                raise InputError(f"--{name} {getattr(self, name)}: {least} or more is expected")
        if self.seeds > MAX_SEEDS or self.times > MAX_TIMES:
            raise InputError(
                f"--seeds {self.seeds} and --times {self.times}: at most {MAX_SEEDS} and "
                f"{MAX_TIMES} are expected"
            )
        if self.networks + self.top < LEAST:
            raise InputError(
                f"--networks {self.networks} and --top {self.top}: together {LEAST} or more are "
                "expected"
            )


@dataclass(frozen=True)
class Member:
    """A network that is trained longer, and what it stands for.

    It is the `place`-th of the ranking, from 0, and one of `drawn` that were drawn from `part`
    networks; of the top all are.
    """

    record: TrialRecord  # of the search
    place: int
    group: int
    part: int
    drawn: int

    @property
    def weight(self) -> float:
        """The number of networks that it stands for."""
        return self.part / self.drawn


def members(
    fidelity: Fidelity,
    seed: int,
    ranked: Sequence[TrialRecord],
    winner: TrialRecord | None = None,
) -> list[Member]:
    """The networks of the check: the top, and some from each of several equal parts of the rest.

    Two from each part (or three), because two networks of one part are hardest to tell apart: if
    there were one, no such pair would be seen, and the ranking would look better than it is.
    `ranked` are the records of the search, best first; `seed` is the search's. `winner` is the one
    that the finals have chosen, which counts among the top.
    """
    complete = [r for r in ranked if not r.subject.is_baseline and r.outcome.state == COMPLETE]
    names = [network_of(record.subject) for record in complete]
    top = set(range(min(fidelity.top, len(complete))))
    if winner is not None and network_of(winner.subject) in names:
        top.add(names.index(network_of(winner.subject)))
    rest = [place for place in range(len(complete)) if place not in top]
    random = np.random.Generator(np.random.PCG64(derive_seed(seed, FIDELITY, len(complete))))
    chosen = [Member(complete[place], place, 0, len(top), len(top)) for place in sorted(top)]
    count = min(fidelity.networks, len(rest))
    parts = np.array_split(np.array(rest, int), max(1, count // 2))
    for group, (part, own) in enumerate(zip(parts, np.array_split(np.arange(count), len(parts)))):
        for place in sorted(random.choice(part, size=min(len(own), len(part)), replace=False)):
            member = Member(complete[place], int(place), group + 1, len(part), len(own))
            chosen.append(member)
    return chosen


def _pairs(chosen: Sequence[Member]) -> np.ndarray:
    """For each two members how many pairs of all networks they stand for."""
    weights = np.array([member.weight for member in chosen])
    found = np.outer(weights, weights)
    for i, a in enumerate(chosen):
        for j, b in enumerate(chosen):
            if a.group == b.group:
                of_two = a.drawn * (a.drawn - 1)
                found[i, j] = a.part * (a.part - 1) / of_two if i != j and of_two else 0.0
    return found


def trainings(
    fidelity: Fidelity,
    seed: int,
    ranked: Sequence[TrialRecord],
    done: Sequence[TrialRecord],
    winner: TrialRecord | None = None,
) -> list[Subject]:
    """The long trainings that are missing; `done` are the records of those that are not.

    The other arguments as in `members`.
    """
    known = {(network_of(r.subject), r.subject.repeat) for r in done}
    subjects = [member.record.subject for member in members(fidelity, seed, ranked, winner)]
    # All networks with one seed first, so that a check that is cut short has an order.
    return [
        subject.again(seed, FIDELITY, repeat)
        for repeat in range(1, fidelity.seeds + 1)
        for subject in subjects
        if (network_of(subject), repeat) not in known
    ]


# What a network could be ranked by; of each, more is thought to be better.
SCORES: Mapping[str, Callable[[TrialRecord], float]] = {
    "brief ranking": lambda record: record.val_accuracy or 0.0,
    "MACs": lambda record: float(record.outcome.macs or 0),
    "parameters": lambda record: float(record.outcome.parameters or 0),
    "first epoch": lambda record: record.outcome.curve[0].val_accuracy,
    "sum of losses": lambda record: -sum(point.loss for point in record.outcome.curve),
}
BRIEF = "brief ranking"


@dataclass(frozen=True)
class Certificate:
    """What the long trainings say about the brief ranking.

    `taus` is Kendall's tau-b with the mean of the long seeds for each of SCORES, `single` that of
    the brief ranking with one long seed, and `ceiling` that of one long seed with another. `gain`
    is how much larger the brief ranking's tau is than that of MACs, and `rho` is Spearman's.
    `recall` is the share of the truly best `top` (a quarter) of all candidates that the brief
    ranking has among its best `top`. `regret` is how many points the brief winner is behind the
    best of those that were trained, and `final_regret` the same of the finals' winner.
    """

    networks: int
    candidates: int
    seeds: int
    epochs: int  # of a long training
    taus: Mapping[str, Estimate]
    rho: Estimate
    single: Estimate
    ceiling: Estimate
    gain: Estimate
    top: int
    recall: float
    regret: Estimate
    final_regret: Estimate | None = None

    @property
    def verdict(self) -> str:
        """What the figures mean, by a rule that was fixed before any were known."""
        tau, gain = self.taus[BRIEF], self.gain
        if tau.low <= 0:
            return (
                "Not shown to rank: the interval of tau includes 0. More networks, seeds or epochs "
                "may show more."
            )
        # Like with like: both are agreements with a single long seed.
        ceiling = self.ceiling.value
        share = self.single.value / ceiling if ceiling > 0 else float("inf")
        if share >= 0.9:
            text = "The brief ranking is good: a long seed agrees with it about as with another"
        elif share >= 0.6:
            text = "The brief ranking is useful: it has most of the agreement of long seeds"
        else:
            text = "The brief ranking is weak: it has little of the agreement of long seeds"
        if gain.low > 0:
            return f"{text}, and it ranks better than the number of MACs does."
        return f"{text}, but it is not shown to rank better than the number of MACs does."

    @property
    def sentences(self) -> list[str]:
        """What else is known, beside the taus."""
        behind = f"{_behind(self.regret)} behind the best of the {self.networks} networks"
        if self.final_regret:
            behind += f", the winner of the finals {_behind(self.final_regret)}"
        return [
            f"Of the truly best {self.top} of {self.candidates} candidates the brief ranking has "
            f"about {self.recall:.0%} among its own best {self.top}.",
            f"Its winner is {behind} (95 % intervals).",
        ]

    def to_json(self) -> dict[str, Any]:
        """One flat object, with the floors in one of their own."""
        return {
            **self.taus[BRIEF].to_json("tau"),
            **self.rho.to_json("rho"),
            **self.single.to_json("single"),
            **self.ceiling.to_json("ceiling"),
            "floors": {name: tau.value for name, tau in self.taus.items() if name != BRIEF},
            **self.gain.to_json("gain_over_macs"),
            **self.regret.to_json("regret"),
            "final_regret": self.final_regret.value if self.final_regret else None,
            **{
                name: getattr(self, name)
                for name in ("top", "recall", "networks", "candidates", "seeds", "epochs")
            },
            "verdict": self.verdict,
        }


def certify(
    fidelity: Fidelity,
    seed: int,
    ranked: Sequence[TrialRecord],
    done: Sequence[TrialRecord],
    winner: TrialRecord | None = None,
) -> Certificate:
    """Compares the ranking with the long trainings; arguments as in `trainings`.

    Raises InputError if fewer than LEAST networks have completed all of theirs.
    """
    long: dict[Any, dict[int, float]] = {}
    for record in done:
        if record.outcome.state == COMPLETE:
            own = long.setdefault(network_of(record.subject), {})
            own[record.subject.repeat] = record.val_accuracy or 0.0
    repeats = range(1, fidelity.seeds + 1)  # an earlier check may have had further ones
    chosen = [
        member
        for member in members(fidelity, seed, ranked, winner)
        if set(repeats) <= long.get(network_of(member.record.subject), {}).keys()
    ]
    if len(chosen) < LEAST:
        raise InputError(
            f"long trainings are complete for {counted(len(chosen), 'network')}: {LEAST} are needed"
        )
    names = [network_of(member.record.subject) for member in chosen]
    truth = np.array([[long[name][repeat] for repeat in repeats] for name in names])
    scores = {name: np.array([score(m.record) for m in chosen]) for name, score in SCORES.items()}
    weights = np.array([member.weight for member in chosen])
    candidates = round(weights.sum())
    top = math.ceil(candidates / 4)
    places = np.array([member.place for member in chosen])
    final = network_of(winner.subject) if winner else None
    return Certificate(
        networks=len(chosen),
        candidates=candidates,
        seeds=fidelity.seeds,
        epochs=done[0].recipe.epochs,
        **vars(agreements(scores, truth, weights, _pairs(chosen), BRIEF, "MACs")),
        top=top,
        recall=recall(places, truth.mean(axis=1), weights, top),
        regret=_points(regret(truth, int(np.argmin(places)))),
        final_regret=_points(regret(truth, names.index(final))) if final in names else None,
    )


def _behind(points: Estimate) -> str:
    return f"{points.value:.2f} ({points.low:.2f} to {points.high:.2f}) points"


def _points(of: Estimate) -> Estimate:
    return Estimate(100 * of.value, 100 * of.low, 100 * of.high)
