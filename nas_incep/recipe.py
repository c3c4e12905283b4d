"""Recipes: the settings of one brief training, independent of any framework."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from .errors import InputError

OPTIMIZERS = ("sgd", "nag", "adam", "adadelta", "rmsprop")
SCHEDULES = ("one_cycle", "constant")
INITIALIZERS = ("msra", "xavier", "normal")
# Where the learning rates of baselines that name none come from: docs/recipe.md, or the recipe.
BASELINE_LRS = RULE, RECIPE = "rule", "recipe"
# Of a baseline alone: the parameters that its zoo publishes.
PRETRAINED = "pretrained"
MAX_COUNT = 1_000_000_000  # far above any use; sums and products of counts stay small numbers
MAX_EPOCHS = 1_000_000


@dataclass(frozen=True)
class Recipe:
    """The budget and the settings of a training; only equal recipes give comparable accuracies.

    The defaults are the recipe `brief`; docs/recipe.md explains how it was chosen. The name of a
    changed preset says so, and equal settings have equal names. Raises InputError listing every
    error.
    """

    name: str = "brief"
    epochs: int = 3
    batch_size: int = 128
    images_per_epoch: Optional[int] = None  # None: all training images
    optimizer: str = "adam"
    learning_rate: float = 0.01  # the peak of `one_cycle`
    momentum: float = 0.9  # sgd, nag
    decay: float = 0.9  # the running averages of adadelta (rho) and rmsprop (gamma1)
    weight_decay: float = 5e-4
    schedule: str = "one_cycle"
    warmup: float = 0.3  # the fraction of all steps in which `one_cycle` rises
    augment: bool = True  # random crops, and flips where the data set allows them
    initializer: str = "xavier"

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            raise InputError(f"recipe {self.name}: " + "; ".join(faults))
        if self.images_per_epoch:  # only whole batches are trained on
            whole = self.images_per_epoch // self.batch_size * self.batch_size
            object.__setattr__(self, "images_per_epoch", whole)
        object.__setattr__(self, "name", _canonical_name(self))

    def learning_rate_at(self, step: int, steps: int) -> float:
        """The learning rate of one step, counted from 0, of a training of `steps` steps.

        `one_cycle` rises linearly, then falls to nearly zero along a half cosine (Smith and Topin,
        "Super-Convergence", arXiv:1708.07120, without its momentum cycle).
        """
        if self.schedule == "constant":
            return self.learning_rate
        rising = self.warmup * steps
        if step + 1 < rising:
            return self.learning_rate * (step + 1) / rising
        part = (step + 1 - rising) / max(1.0, steps + 1 - rising)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * part))

    def to_json(self) -> dict[str, Any]:
        """A JSON value with a key for each field."""
        return dataclasses.asdict(self)


def _faults(recipe: Recipe) -> Iterator[str]:
    for name in ("epochs", "batch_size", "images_per_epoch"):
        value = getattr(recipe, name)
        if name == "images_per_epoch" and value is None:
            continue
        most = MAX_EPOCHS if name == "epochs" else MAX_COUNT
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield f"{name} is {value!r}: a positive integer is expected"
        elif value > most:
            yield f"{name} is {value}: at most {most:,} is expected"
    images, batch = recipe.images_per_epoch, recipe.batch_size
    if isinstance(images, int) and isinstance(batch, int) and 0 < images < batch:
        yield f"images_per_epoch is {images}: at least one batch of {batch} is expected"
    for name in ("learning_rate", "momentum", "decay", "weight_decay", "warmup"):
        value = getattr(recipe, name)
        high = math.inf if name == "learning_rate" else 1
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < high:
            yield f"{name} is {value!r}: a number from 0 to below {high} is expected"
    for name, values in (
        ("optimizer", OPTIMIZERS),
        ("schedule", SCHEDULES),
        ("initializer", (*INITIALIZERS, PRETRAINED)),
    ):
        if getattr(recipe, name) not in values:
            yield f"{name} is {getattr(recipe, name)!r}: one of {', '.join(values)} is expected"


def _canonical_name(recipe: Recipe) -> str:
    """The preset's name with the settings that differ from it: `brief with lr=0.002`.

    Without the budget (epochs and images), which is told beside the name.
    """
    base = recipe.name.partition(_WITH)[0]
    preset = RECIPES.get(base)
    if preset is None:
        return recipe.name
    changes = [
        f"{_short(field.name)}={getattr(recipe, field.name)}"
        for field in dataclasses.fields(recipe)
        if field.name not in ("name", "epochs", "images_per_epoch")
        and getattr(recipe, field.name) != getattr(preset, field.name)
    ]
    return base + (_WITH + ", ".join(changes) if changes else "")


def _short(field: str) -> str:
    """The name of a recipe's field as its option is called."""
    return {"learning_rate": "lr", "weight_decay": "wd"}.get(field, field)


_WITH = " with "
RECIPES: dict[str, Recipe] = {}

# The settings that the notebook uses.
_NOTEBOOK = Recipe(
    name="notebook",
    initializer="msra",
    batch_size=64,
    optimizer="adadelta",
    learning_rate=1.0,
    decay=0.9999,
    weight_decay=0.0,
    schedule="constant",
    augment=False,
)

RECIPES.update(
    brief=Recipe(),
    notebook=_NOTEBOOK,
    # The line that is commented out in the notebook.
    notebook_rmsprop=dataclasses.replace(
        _NOTEBOOK, name="notebook_rmsprop", optimizer="rmsprop", learning_rate=0.03, decay=0.9
    ),
)


def get_recipe(name: str, **changes: Any) -> Recipe:
    """The preset `name` with some fields replaced; a change to None is ignored.

    Raises InputError if there is no such preset or a value is invalid.
    """
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}; the recipes are {', '.join(RECIPES)}")
    given = {key: value for key, value in changes.items() if value is not None}
    # A recipe may have it, to measure speeds; a search would train for nothing.
    if given.get("learning_rate") == 0:
        raise InputError(f"recipe {name}: learning_rate is 0: a positive number is expected")
    if given.get("initializer") == PRETRAINED:
        raise InputError(
            f"recipe {name}: initializer is {PRETRAINED!r}, which only a baseline can have: one of "
            f"{', '.join(INITIALIZERS)} is expected"
        )
    return dataclasses.replace(RECIPES[name], **given)


def own_settings(baseline: str) -> dict[str, Any]:
    """The fields that a baseline has of its own, as `NAME:lr=0.003,optimizer=adam` says.

    `NAME:pretrained` is short for `NAME:initializer=pretrained`. They are in one order, whatever
    that of the text; without a colon there are none. The budget (epochs, batch size, images) is
    none of them: accuracies after different budgets cannot be compared. Raises InputError.
    """
    _, colon, text = baseline.partition(":")
    if not colon:
        return {}
    names = {_short(name): name for name in _SETTINGS}
    found: dict[str, Any] = {}
    for part in text.split(","):
        short = part.strip().lower() == PRETRAINED
        key, given, value = (f"initializer={PRETRAINED}" if short else part.strip()).partition("=")
        name = names.get(key.strip().lower())
        if name is None or not given or name in found:
            raise InputError(
                f"setting {part!r}: {PRETRAINED} or NAME=VALUE is expected, once for each of "
                f"{', '.join(names)}"
            )
        found[name] = value.strip().lower() if _SETTINGS[name] is str else _number(key, value)
    if found.get("learning_rate") == 0:  # it would train for nothing
        raise InputError(f"setting lr={found['learning_rate']}: a positive number is expected")
    if "optimizer" in found and "learning_rate" not in found:
        raise InputError(
            f"setting optimizer={found['optimizer']}: its learning rate, lr, is missing"
        )
    return {name: found[name] for name in _SETTINGS if name in found}


def settings_text(settings: dict[str, Any]) -> str:
    """The one text of such settings, as they stand behind the colon."""
    return ",".join(
        PRETRAINED if value == PRETRAINED else f"{_short(name)}={value}"
        for name, value in settings.items()
    )


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"setting {name}={text!r}: a number is expected") from None


# What one network may have of its own, with the type of each.
_SETTINGS = {
    "optimizer": str,
    "learning_rate": float,
    "momentum": float,
    "decay": float,
    "weight_decay": float,
    "schedule": str,
    "warmup": float,
    "initializer": str,
}


def derive_seed(search_seed: int, *purpose: object) -> int:
    """Derive a seed for one purpose, such as a trial's number or an epoch, from the search's seed.

    Equal arguments give equal seeds, from 0 to 2**31 - 1.
    """
    text = "/".join(map(str, (search_seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
