"""The table [training] of a space file: how its networks are trained unless the user says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

from ..errors import InputError
from ..recipe import RECIPES, get_recipe, own_settings

PRESET = "brief"
MAX_BASELINES = 100
# The settings as options and files name them, with the fields of a recipe.
SETTINGS = {
    **{key: key for key in ("epochs", "images_per_epoch", "batch_size", "optimizer")},
    "lr": "learning_rate",
    "wd": "weight_decay",
    **{key: key for key in ("momentum", "decay", "schedule", "warmup", "augment", "initializer")},
}


@dataclass(frozen=True)
class TrainingDefaults:
    """The recipe and the baselines of a search over a space, where its options name none."""

    recipe: str = PRESET
    changes: dict[str, Any] = field(default_factory=dict)  # of the recipe's fields
    baselines: Optional[tuple[str, ...]] = None  # None: the file does not say


def read_training(table: dict[str, Any]) -> tuple[TrainingDefaults, list[str]]:
    """The defaults in a table, and a phrase for each fault in it."""
    known = ("recipe", *SETTINGS, "baselines")
    faults = [
        f"unknown key training.{key}: expected {', '.join(known)}"
        for key in table
        if key not in known
    ]
    preset = table.get("recipe", PRESET)
    if not isinstance(preset, str) or preset not in RECIPES:
        faults.append(f"training.recipe is {preset!r}: one of {', '.join(RECIPES)} is expected")
        preset = PRESET
    changes = {name: table[key] for key, name in SETTINGS.items() if key in table}
    if not isinstance(changes.get("augment", True), bool):
        faults.append(f"training.augment is {changes['augment']!r}: true or false is expected")
    try:
        get_recipe(preset, **changes)
    except InputError as error:
        faults.append(f"training: {error}")
    baselines = table.get("baselines")
    if baselines is not None:
        faults += _baseline_faults(baselines)
        baselines = tuple(baselines) if isinstance(baselines, list) else None
    return TrainingDefaults(preset, changes, baselines), faults


def _baseline_faults(baselines: Any) -> list[str]:
    if not isinstance(baselines, list) or not all(isinstance(name, str) for name in baselines):
        return [f"training.baselines is {baselines!r}: a list of names is expected"]
    if len(baselines) > MAX_BASELINES:
        return [
            f"training.baselines has {len(baselines)} names: at most {MAX_BASELINES} are expected"
        ]
    faults = []
    for name in baselines:
        try:
            own_settings(name)
        except InputError as error:
            faults.append(f"training.baselines has {name!r}: {error}")
    return faults
