"""Simulated searches: the real one over recorded curves, in this process and in memory.

The worker, the scheduler, the samplers, the pruners, the finals and the ranking are those of a
search. Only what they meet is another: the study is in memory, the run folder in a memory file
system, the engine looks curves up, and candidates come from the table.
"""

from __future__ import annotations

import math
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from .._machine import FLOAT32
from .._text import counted
from ..datasets import Dataset, Images, dataset_info
from ..engines.table.once import NoSeedLeft, OnceEngine
from ..errors import InputError
from ..recipe import Recipe, derive_seed
from ..records import COMPLETE, TrialRecord, now
from ..results.config import DataFacts, RunConfig, StudyPlace
from ..results.finals import Finals
from ..results.pruning import Pruning
from ..results.ranking import rank_run
from ..results.request import SearchRequest
from ..results.run import RANKING, Run
from ..results.standings import critical_difference
from ..spaces.space import Choice, SearchSpace
from ..study.shared import SharedStudy
from .display import QuietDisplay
from .recorded import Recorded
from .recovery import Shared
from .table_source import TableSource
from .worker import Post, Worker

MEMORY = Path("/dev/shm")
# After which parts of the trials the best network so far is looked at.
PARTS = (0.25, 0.5, 0.75, 1.0)
FINALS = "finals"


@dataclass(frozen=True)
class Simulation:
    """What is simulated: searches of `trials` candidates. Raises InputError."""

    trials: int
    pruning: Pruning
    finals: Finals
    seed: int

    def request(self, recorded: Recorded, sampler: str, repeat: int) -> SearchRequest:
        """The request of one search. Raises InputError for an unknown sampler."""
        return SearchRequest(
            space=_NO_SPACE,
            recipe=Recipe(epochs=recorded.epochs),
            trials=self.trials,
            sampler=sampler,
            pruning=self.pruning,
            finals=self.finals,
            # The same for all samplers, which therefore meet the same seeds of a network.
            seed=derive_seed(self.seed, "simulation", repeat),
        )


@dataclass(frozen=True)
class Moment:
    """A search after a number of candidates, or after its finals."""

    after: str  # the number of candidates, or FINALS
    cost: int  # the images that all candidates were trained on so far, or their trainings
    accuracy: float  # the true one of the network that leads


@dataclass(frozen=True)
class Simulated:
    """One simulated search. `ended` is the stage that lacked a further seed; empty if none did."""

    moments: tuple[Moment, ...]
    ended: str = ""

    @property
    def lacks_finals(self) -> bool:
        """Whether it had no finals, and not for lack of seeds."""
        return not self.ended and all(moment.after != FINALS for moment in self.moments)


@dataclass(frozen=True)
class Summary:
    """A moment of all searches: means, and half of the regret's 95 % interval (None for one)."""

    after: str
    searches: int  # that had a complete network by then
    cost: float
    accuracy: float
    regret: float  # how far it is from the best network of the table
    margin: float | None


# The space of a search that draws from a table.
_NO_SPACE = SearchSpace("table", "", "", Choice((1,)), (), {}, {}, (), "")


def check(plan: Simulation, recorded: Recorded, samplers: Sequence[str]) -> None:
    """Raises InputError if the table does not allow such searches."""
    source = recorded.table.source
    if plan.pruning.name != "none" and not recorded.has_curves:
        raise InputError(
            f"--pruner {plan.pruning.name}: {source} has final accuracies without learning curves, "
            "so nothing can be pruned: none is expected"
        )
    if plan.finals.epochs not in (None, recorded.epochs):
        raise InputError(
            f"--final-epochs {plan.finals.epochs}: the trainings in {source} have "
            f"{counted(recorded.epochs, 'epoch')}"
        )
    if plan.trials > len(recorded.table.networks):
        raise InputError(
            f"--trials {plan.trials}: {source} has "
            f"{counted(len(recorded.table.networks), 'network')}"
        )
    for sampler in samplers:
        plan.request(recorded, sampler, 0)
        TableSource(recorded, sampler, 0)


def simulate(plan: Simulation, recorded: Recorded, sampler: str, repeat: int) -> Simulated:
    """One search with a sampler; `repeat` decides its seed."""
    request = plan.request(recorded, sampler, repeat)
    engine = OnceEngine(recorded.table, request.seed)
    source = TableSource(recorded, sampler, derive_seed(request.seed, "names"))
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    ended = ""
    with tempfile.TemporaryDirectory(prefix="nas-incep-", dir=memory) as folder:
        run, config = Run(Path(folder)), _config(request)
        shared = Shared(config, run, SharedStudy.in_memory(config))
        display = QuietDisplay(Console(quiet=True))
        worker = Worker(shared, engine, display, Post("cpu"), _NO_DATA, source)
        try:
            worker.work()
        except NoSeedLeft as error:
            ended = error.subject.stage
        records, reruns = worker.known.records(), worker.known.reruns(*RANKING)
    return Simulated(tuple(_moments(request, recorded, records, reruns)), ended)


def _config(request: SearchRequest) -> RunConfig:
    return RunConfig(
        engine="table",
        request=request,
        data=DataFacts.of(_NO_DATA),
        study=StudyPlace("simulation", None, 60),
        precision=FLOAT32,
        called=now(),
        created=now(),
        versions={},
    )


_ONE = Images(np.zeros((1, 1, 8, 8), np.uint8), np.zeros(1, np.int32))
# A worker asks for a data set; nothing is trained on it.
_NO_DATA = Dataset(dataset_info("digits"), _ONE, _ONE, "", None, (0.0,), (1.0,), ())


def _moments(
    request: SearchRequest,
    recorded: Recorded,
    records: Sequence[TrialRecord],
    reruns: Sequence[TrialRecord],
) -> Iterator[Moment]:
    """The search after parts of its trials, and after the finals if it has any."""
    true = recorded.accuracies
    trained = [record for record in records if record.counts]
    for count in sorted({max(1, math.ceil(part * request.trials)) for part in PARTS}):
        done = trained[:count]
        complete = [record for record in done if record.outcome.state == COMPLETE]
        if complete:
            best = max(complete, key=lambda record: record.val_accuracy or 0.0)
            yield Moment(f"{count}", _images(done), true[best.subject.name])
    ranking = rank_run(request, records, reruns)
    winner = next((r for r in ranking.records if r.outcome.state == COMPLETE), None)
    if reruns and winner:
        cost = _images([*trained, *reruns])
        yield Moment(FINALS, cost, true[winner.subject.name])


def _images(records: Sequence[TrialRecord]) -> int:
    return sum(point.images for record in records for point in record.outcome.curve)


def summarize(recorded: Recorded, searches: Sequence[Simulated]) -> list[Summary]:
    """The means of all searches at each of their moments, in order."""
    best = max(recorded.accuracies.values())
    names = dict.fromkeys(moment.after for found in searches for moment in found.moments)
    ordered = sorted(names, key=lambda name: int(name) if name.isdecimal() else math.inf)
    return [
        _summary(name, [m for found in searches for m in found.moments if m.after == name], best)
        for name in ordered
    ]


def _summary(name: str, moments: Sequence[Moment], best: float) -> Summary:
    regrets = [best - moment.accuracy for moment in moments]
    count, margin = len(moments), None
    if count > 1:
        error = statistics.stdev(regrets) / math.sqrt(count)
        margin = critical_difference(2, count - 1) * error
    return Summary(
        after=name,
        searches=count,
        cost=statistics.mean(moment.cost for moment in moments),
        accuracy=statistics.mean(moment.accuracy for moment in moments),
        regret=statistics.mean(regrets),
        margin=margin,
    )
