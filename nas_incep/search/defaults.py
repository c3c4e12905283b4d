"""What the options of a search are where none are given; importing this module is cheap."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from ..results.finals import Finals
    from ..results.pruning import Pruning
    from ..results.run import Run
    from ..results.warm_start import WarmStart
    from ..spaces.training import TrainingDefaults

# What a search trains next to its candidates unless told otherwise.
BASELINES = ("inception3@75",)


def with_defaults(
    defaults: TrainingDefaults,
    recipe: str | None,
    given: Mapping[str, Any],
    baseline: str | Sequence[str] | None,
) -> tuple[str, dict[str, Any], str | Sequence[str] | None]:
    """The recipe, the changes to it and the baselines: the space's where the options give none.

    The space's changes are meant for its own recipe, so another one comes without them.
    """
    changes = {key: value for key, value in given.items() if value is not None}
    if recipe is None:
        recipe, changes = defaults.recipe, {**defaults.changes, **changes}
    return recipe, changes, defaults.baselines if baseline is None else baseline


def names_of(option: str, given: str | Sequence[str]) -> tuple[str, ...]:
    """The names that a repeatable option gives, each once; none for `none`. Raises InputError."""
    names = (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))
    if "none" in names and len(names) > 1:
        raise InputError(f"{option} none: stands alone, not beside {', '.join(names)}")
    return () if names == ("none",) else names


def named_pruning(
    name: str,
    first_rung: int | None,
    reduction: int,
    by: str | None,
    epochs: int,
    begun: Pruning | None = None,
) -> Pruning:
    """The pruning of trainings of `epochs` epochs; a run that has `begun` keeps its settings."""
    from ..results.pruning import TRAIN, Pruning, default_first_rung

    own = begun or Pruning(name, default_first_rung(epochs), by=TRAIN)
    return Pruning(name, first_rung or own.first_rung, reduction, by or own.by)


def named_finals(share: float | str | None, epochs: int | None, objective: str) -> Finals:
    """The finals of a search: by default there are some where accuracy alone counts."""
    from ..results.finals import SHARE, Finals

    if share is None:
        return Finals(0.0 if "," in objective else SHARE, epochs)
    try:
        number = 0.0 if share == "none" else float(share)
    except ValueError:
        raise InputError(f"--finals {share}: none or a number is expected") from None
    return Finals(number, epochs)


def named_warm_start(run: str | Path | None, top: int | None) -> WarmStart | None:
    """What a search takes from an earlier run; None without one."""
    from ..results.warm_start import TOP, WarmStart

    if run is None:
        if top is not None:
            raise InputError(f"--from-top {top}: needs --from RUN, from which they are taken")
        return None
    return WarmStart(os.path.abspath(run), TOP if top is None else top)


def finals_share(run: Run, given: float | str | None) -> float | str:
    """The share of finals that come later: as given, or else the run's own, or the default.

    Raises InputError for a share of nothing.
    """
    from ..results.finals import MAX_SHARE, SHARE

    if given is None:
        return run.config().request.finals.share or SHARE
    if not named_finals(given, None, "accuracy").share:
        raise InputError(
            f"--finals {given}: leaves no finals to train: a share above 0, up to {MAX_SHARE}, is "
            "expected"
        )
    return given
