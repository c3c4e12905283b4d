"""The samplers by name; the Optuna samplers themselves are in `study.samplers`."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError

SAMPLERS = ("tpe", "random", "nsga2", "grid", "evolution")


def check_sampler(name: str, objectives: Sequence[str]) -> None:
    """Raises InputError if there is no such sampler or it does not support these objectives."""
    if name not in SAMPLERS:
        raise InputError(f"--sampler {name}: the samplers are {', '.join(SAMPLERS)}")
    if name == "evolution" and len(objectives) > 1:
        raise InputError(
            f"--sampler evolution: it supports one objective, not {','.join(objectives)}; "
            "use nsga2 for several"
        )
