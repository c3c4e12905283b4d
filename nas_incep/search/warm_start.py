"""What a search takes from an earlier run: its best networks, which are trained first.

Their accuracies are not taken. They were measured with the images, the recipe and the seeds of
that run; the sampler learns from these networks when this run has trained them.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ..datasets import DatasetInfo
from ..errors import InputError
from ..records import COMPLETE, TrialRecord
from ..results.ranking import rank_run
from ..results.request import SearchRequest
from ..results.run import Run
from ..results.warm_start import EarlierNetwork, WarmStart
from ..spaces.space import VARIANTS, SearchSpace, over_limits


def warm_started(
    request: SearchRequest, run: Run, info: DatasetInfo
) -> tuple[SearchRequest, list[str]]:
    """The request with the networks that are taken from an earlier run, and what to say of them.

    A run that has begun keeps those it has taken. Raises InputError if the earlier run cannot be
    read, or nothing of it fits.
    """
    asked = request.warm_start
    if asked is None or run.config_path.exists():
        return request, []
    notices: list[str] = []
    complete = _complete(asked, notices)
    fits = [record for record in complete if not _misfit(record, request.space, info)]
    if not fits:
        best = complete[0]
        raise InputError(
            f"--from {asked.run}: none of its {len(complete)} complete candidates is in space "
            f"{request.space.name}; of the best one, trial {best.subject.trial}: "
            f"{_misfit(best, request.space, info)}"
        )
    networks = tuple(
        EarlierNetwork.of(record.subject.trial or 0, architecture)
        for record in fits[: asked.top]
        if (architecture := record.subject.architecture)
    )
    names = ", ".join(str(network.trial) for network in networks)
    notices.append(
        f"--from {asked.run}: trained first, the best first: its trials {names} "
        f"({len(fits)} of its {len(complete)} complete candidates are in space "
        f"{request.space.name})"
    )
    taken = dataclasses.replace(request, warm_start=dataclasses.replace(asked, networks=networks))
    first = len(taken.first_points)
    if request.trials < first:
        notices.append(
            f"--trials {request.trials}: fewer than the {first} networks that are tried first, "
            "the space's own references among them"
        )
    return taken, notices


def _complete(asked: WarmStart, notices: list[str]) -> list[TrialRecord]:
    """The complete candidates of the earlier run, in the order of its leaderboard."""
    earlier = Run(Path(asked.run))
    request = earlier.config().request
    ranking = rank_run(request, earlier.records(notices.append), earlier.reruns(notices.append))
    complete = [
        record
        for record in ranking.records
        if record.outcome.state == COMPLETE and record.subject.architecture
    ]
    if not complete:
        raise InputError(f"--from {asked.run}: has no complete candidate yet")
    return complete


def _misfit(record: TrialRecord, space: SearchSpace, info: DatasetInfo) -> str:
    """Why a network is not in the space, or beyond its limits; empty if it can be trained."""
    earlier = record.subject.architecture
    assert earlier is not None
    outside = space.outside(earlier.blocks, {key: getattr(earlier, key) for key in VARIANTS})
    if outside:
        return outside[0]
    try:
        here = dataclasses.replace(earlier, classes=len(info.classes), input_shape=info.image_shape)
    except InputError as error:  # too deep for the images
        return str(error)
    return next(iter(over_limits(space.limits, here)), "")
