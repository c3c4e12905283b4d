"""What a run has to show, read once: its configuration, its records and their ranking."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..records import COMPLETE, FIDELITY, TrialRecord
from ..results import leaderboard
from ..results.checks import check_of
from ..results.config import RunConfig
from ..results.fidelity import Certificate, Fidelity, certify
from ..results.ranking import Ranking, rank_run
from ..results.run import Run
from ..results.standings import network_of


@dataclass(frozen=True)
class Contents:
    """A run as a report and its pictures see it.

    `rows` are the leaderboard's, best first, and `ranking` is what they come from. `long` are the
    records of the long trainings that check the ranking. `notices` are
    sentences about records that cannot be read. `is_running` tells whether a search works on the
    run now.
    """

    run: Run
    config: RunConfig
    records: tuple[TrialRecord, ...]
    ranking: Ranking
    rows: tuple[dict[str, Any], ...]
    long: tuple[TrialRecord, ...]
    notices: tuple[str, ...]
    is_running: bool

    @property
    def ranked(self) -> tuple[TrialRecord, ...]:
        """The records of the rows."""
        return self.ranking.records

    def accuracy(self, record: TrialRecord) -> float:
        """What a complete network is reported by: the mean of the seeds that do not flatter it."""
        return self.ranking.standings[network_of(record.subject)].mean_accuracy

    @property
    def winner(self) -> TrialRecord | None:
        """The record of the search of the network that the finals have chosen."""
        return self.ranking.race.winner

    @property
    def best(self) -> TrialRecord | None:
        """The complete candidate with the best rank."""
        return next((record for record in self.ranked if _is_ranked(record, False)), None)

    @property
    def best_baseline(self) -> TrialRecord | None:
        """The complete baseline with the best rank."""
        return next((record for record in self.ranked if _is_ranked(record, True)), None)

    @property
    def complete_rows(self) -> list[dict[str, Any]]:
        """The rows of the networks that were trained to the end."""
        return [row for row in self.rows if row["state"] == COMPLETE]

    @cached_property
    def searched(self) -> list[TrialRecord]:
        """The records of the search as the search alone ranks them, best first."""
        return leaderboard.rank(self.records, self.config.request.objectives)

    @cached_property
    def check(self) -> Fidelity | None:
        """The check of the ranking; None if there was none or some of its trainings are missing."""
        return check_of(self.config.request, self.searched, self.long, self.winner)

    @cached_property
    def certificate(self) -> Certificate | None:
        """What the check says. Raises InputError if too many of its trainings have failed."""
        if self.check is None:
            return None
        return certify(self.check, self.config.request.seed, self.searched, self.long, self.winner)


def read_contents(run: Run) -> Contents:
    """Reads a run. Raises InputError if it is none; a damaged record becomes a notice."""
    config = run.config()
    notices: list[str] = []
    records = tuple(run.records(notices.append))
    ranking = rank_run(config.request, records, run.reruns(notices.append))
    return Contents(
        run=run,
        config=config,
        records=records,
        ranking=ranking,
        rows=tuple(ranking.rows(config.request.objectives)),
        long=tuple(run.reruns(notices.append, (FIDELITY,))),
        notices=tuple(notices),
        is_running=run.is_locked(),
    )


def has_accuracy(row: dict[str, Any]) -> bool:
    """Whether a row's network was evaluated at least once."""
    return row["val_accuracy"] is not None


def accuracy_of(row: dict[str, Any]) -> float:
    """The accuracy to show for a row that has one, beside those of other rows.

    The mean over seeds where it is known, unless these were trained for longer than the search.
    """
    accuracy: float = row["mean_accuracy"] if is_mean_shown(row) else row["val_accuracy"]
    return accuracy


def is_mean_shown(row: dict[str, Any]) -> bool:
    return row.get("mean_accuracy") is not None and row["mean_epochs"] == row["epochs"]


def _is_ranked(record: TrialRecord, baseline: bool) -> bool:
    return record.outcome.state == COMPLETE and record.subject.is_baseline == baseline
