"""Which check of its ranking a run has had, as far as run.json and the long trainings tell."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError
from ..records import TrialRecord
from .fidelity import Fidelity, members, trainings
from .request import SearchRequest
from .standings import network_of


def check_of(
    request: SearchRequest,
    ranked: Sequence[TrialRecord],
    done: Sequence[TrialRecord],
    winner: TrialRecord | None = None,
) -> Fidelity | None:
    """The check whose trainings are all done; None if there is none.

    `ranked` are the records of the search, best first, `done` those of the long trainings,
    `winner` the one of the finals. A later call of the search asks for no check, and run.json then
    tells of none; so the check is also found by the networks that it has trained.
    """

    def is_done(check: Fidelity) -> bool:
        return not trainings(check, request.seed, ranked, done, winner)

    if not done:
        return None
    if request.fidelity and is_done(request.fidelity):
        return request.fidelity
    trained = {network_of(record.subject) for record in done}
    most = max(record.subject.repeat for record in done)
    times = done[0].recipe.epochs // request.recipe.epochs
    # A larger check may have begun after a whole one.
    for seeds in range(most, 1, -1):
        # If it trained all networks there are, any number of them may be the top: the usual one.
        for top in sorted(range(len(trained)), key=lambda top: abs(top - Fidelity.top)):
            try:
                check = Fidelity(len(trained) - top, top, seeds, times)
            except InputError:
                return None
            networks = members(check, request.seed, ranked, winner)
            chosen = {network_of(member.record.subject) for member in networks}
            if chosen == trained and is_done(check):
                return check
    return None
