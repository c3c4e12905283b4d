"""Finals, or a check, that have begun with other epochs: refused, or set aside to begin anew.

The trainings of a stage are compared with each other, so all of them have the same length.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from .._files import free_name
from .._text import counted
from ..errors import InputError
from ..records import FIDELITY, FINALS, RERUNS
from ..results.request import SearchRequest
from ..results.run import Run
from .liveness import is_anyone_present

ASIDE = ".earlier"  # the folder of a stage, FOLDER.earlier, whose records no command reads


def check_lengths(run: Run, request: SearchRequest, anew: Sequence[str] = ()) -> None:
    """Raises InputError if a run's reruns have begun with another number of epochs.

    Those of the stages `anew` may have; `set_aside` sees to them.
    """
    for stage, (begun, asked) in _otherwise(run, request).items():
        if stage not in anew:
            has = "have" if stage == FINALS else "has"
            command = "fidelity" if stage == FIDELITY else "finals"
            raise InputError(
                f"{run.path}: its {stage} {has} begun with {counted(begun, 'epoch')}, not {asked}: "
                f"repeat the options of then, or set these trainings aside by {command} --anew"
            )


def set_aside(
    run: Run, request: SearchRequest, stages: Sequence[str], say: Callable[[str], None]
) -> None:
    """Renames the folders of some stages if these have begun with another number of epochs.

    `stages` are in the order in which they are trained. A process that is killed between the
    renames leaves the earlier stages as they were before the later one, which the same options
    train again alike. Raises InputError if workers that know the earlier options are at work.
    """
    begun = [epochs for stage, (epochs, _) in _otherwise(run, request).items() if stage in stages]
    if not begun:
        return
    if is_anyone_present(run.workers_path):
        raise InputError(f"--anew: workers are still at work on {run.path}: stop them first")
    kept = []
    for folder in (run.path / stage for stage in reversed(stages)):
        if folder.is_dir():
            aside = free_name(folder, ASIDE)
            os.replace(folder, aside)
            kept.append(aside.name)
    say(f"trainings of {counted(begun[0], 'epoch')} are set aside: {', '.join(kept)}")


def _otherwise(run: Run, request: SearchRequest) -> dict[str, tuple[int, int]]:
    """The stages that have begun with other epochs than are asked for: these, and those."""
    found = {}
    for record in run.reruns(lambda notice: None, RERUNS):
        stage, epochs = record.subject.stage, request.recipe_of(record.subject).epochs
        asked = stage != FIDELITY or request.fidelity
        if asked and record.recipe.epochs != epochs:
            found[stage] = record.recipe.epochs, epochs
    return found
