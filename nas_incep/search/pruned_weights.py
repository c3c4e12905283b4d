"""Which candidates keep their parameters."""

from __future__ import annotations

from ..records import COMPLETE, TrialRecord
from ..results import leaderboard
from ..results.objectives import pareto_front
from .recovery import Shared


def drop_losers(shared: Shared, records: list[TrialRecord]) -> None:
    """Keeps the run folder small: only the best candidates keep their weights."""
    objectives = shared.request.objectives
    ranked = leaderboard.rank(records, objectives)
    complete = [record for record in ranked if record.outcome.state == COMPLETE]
    front = len(pareto_front(complete, objectives)) if len(objectives) > 1 else 0
    shared.run.drop_parameters(complete[max(shared.request.keep, front) :])
