"""A table whose curves are each given once: what a simulated search may know of a network."""

from __future__ import annotations

import random
from collections import Counter

from ...records import FAILED, Subject
from ..base import Job, NetworkFailed
from .engine import TableEngine, TableTraining
from .table import Table


class NoSeedLeft(Exception):
    """All recorded curves of a network are used, so it cannot be trained once more."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(f"{subject.label}: the table has no further seed of {subject.name}")
        self.subject = subject


class OnceEngine(TableEngine):
    """Gives each curve of a network once, in an order that `seed` and the network decide.

    So the seed that has chosen a network is none of those that judge it later.
    """

    def __init__(self, table: Table, seed: int) -> None:
        super().__init__(table)
        self._seed = seed
        self._used: Counter[str] = Counter()

    def start(self, job: Job) -> TableTraining:
        """As `engines.base.Engine.start`. Raises NoSeedLeft."""
        name = job.subject.name
        found = self._table.networks.get(name)
        if found is None:
            raise NetworkFailed(FAILED, f"{self._table.source} has no curve of {name}")
        if self._used[name] == len(found.curves):
            raise NoSeedLeft(job.subject)
        order = random.Random(f"{self._seed}/{name}").sample(found.curves, len(found.curves))
        curve = order[self._used[name]]
        self._used[name] += 1
        return TableTraining(job, found, curve, self._table.epoch_seconds, resumable=False)
