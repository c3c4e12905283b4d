"""The commands that made a run, as far as its run.json and records tell."""

from __future__ import annotations

import shlex

from ..recipe import RECIPES, Recipe, get_recipe
from ..results.config import RunConfig
from ..results.request import SearchRequest
from ..spaces.reader import parse_space, shipped_spaces
from .contents import Contents

# Fields of the request with their options; those with the default need none.
_OPTIONS = {
    "data_dir": "--data-dir",
    "validation_size": "--validation-size",
    "baseline_lr": "--baseline-lr",
    "seed": "--seed",
    "objective": "--objective",
    "sampler": "--sampler",
    "keep": "--keep",
    "trial_timeout": "--trial-timeout",
    "precision": "--precision",
}


# Fields of the recipe with theirs; others cannot be changed by one.
_RECIPE_OPTIONS = {
    "epochs": "--epochs",
    "images_per_epoch": "--images-per-epoch",
    "batch_size": "--batch-size",
    "optimizer": "--optimizer",
    "learning_rate": "--lr",
    "weight_decay": "--wd",
    "momentum": "--momentum",
}


def made_by(contents: Contents) -> list[list[str]]:
    """The commands that search, or resume, this run, check its ranking and export its best.

    Each is a list of lines for a shell, which a page joins with backslashes: one for each option.
    Workers, devices and threads are not told: they decide how fast a search is, not what it finds.
    A space file is named as in the working directory, because only its text is kept.
    """
    run, config = str(contents.run.path), contents.config
    words = ["nas-incep", "search", _positional(_space(config)), "--run", run]
    words += ["--engine", config.engine]
    for name in config.request.baselines or ["none"]:
        words += ["--baseline", name]
    commands = [_lines([*words, *_options(config)])]
    if contents.check:
        check = [(f"--{name}", str(value)) for name, value in vars(contents.check).items()]
        words = ["nas-incep", "fidelity", _positional(run), *_storage(config)]
        commands.append(_lines([*words, *(word for option in check for word in option)]))
    if contents.best:
        commands.append(_lines(["nas-incep", "export", _positional(run), f"{run}/best"]))
    return commands


def beyond_options(config: RunConfig) -> list[str]:
    """The settings that no option gives: those of a recipe that has changed since."""
    recipe = config.request.recipe
    made, _ = _closest(config)
    return [f"{name} {getattr(recipe, name)}" for name in _fixed(recipe, made)]


def _positional(text: str) -> str:
    """A path that a command does not take for an option."""
    return f"./{text}" if text.startswith("-") else text


def _lines(words: list[str]) -> list[str]:
    lines: list[list[str]] = [[]]
    for word in words:
        if word.startswith("--"):
            lines.append([])
        lines[-1].append(word)
    return [shlex.join(line) for line in lines]


def space_file(config: RunConfig) -> str | None:
    """The text of the space's file, unless it is one of the shipped spaces."""
    shipped = shipped_spaces().get(config.request.space.name)
    text = config.request.space.text
    return None if shipped and shipped.read_text(encoding="utf-8") == text else text


def _space(config: RunConfig) -> str:
    name = config.request.space.name
    return name if space_file(config) is None else f"{name}.toml"


def _options(config: RunConfig) -> list[str]:
    request = config.request
    words = ["--dataset", request.dataset, "--trials", str(request.trials), *_recipe(config)]
    if earlier := request.warm_start:
        words += ["--from", earlier.run, "--from-top", str(earlier.top)]
    for name, option in _OPTIONS.items():
        value = getattr(request, name)
        if value is not None and value != SearchRequest.__dataclass_fields__[name].default:
            words += [option, str(value)]
    if request.pruning.name != "none":
        words += ["--pruner", request.pruning.name]
        words += ["--first-rung", str(request.pruning.first_rung)]
        words += ["--reduction", str(request.pruning.reduction)]
        words += ["--prune-by", request.pruning.by]
    words += ["--latency"] if request.latency else []
    words += ["--deterministic"] if request.deterministic else []
    words += [*_images(request), *_finals(request)]
    return [*words, *_limits(config), *_storage(config)]


def _recipe(config: RunConfig) -> list[str]:
    """The preset and the changes to it, unless the space's [training] has them."""
    made, words = _closest(config)
    wanted = config.request.recipe
    changed = {name for name in vars(wanted) if getattr(wanted, name) != getattr(made, name)}
    if "batch_size" in changed:  # the space's images would be cut to other whole batches
        changed.add("images_per_epoch")
    for name, option in _RECIPE_OPTIONS.items():
        value = getattr(wanted, name)
        if name in changed and value is not None:
            words += [option, str(value)]
    return words


def _closest(config: RunConfig) -> tuple[Recipe, list[str]]:
    """What a search trains by without options, or with that for the preset if this is closer.

    The space's schedule comes only without that option, and some of it cannot be undone by another.
    """
    recipe, training = config.request.recipe, config.request.space.training
    preset = recipe.name.partition(" with ")[0]
    own = get_recipe(training.recipe, **training.changes)
    if preset not in RECIPES:
        return own, []
    ways = [(own, []), (RECIPES[preset], ["--recipe", preset])]
    return min(ways, key=lambda way: _distance(recipe, way[0]))


def _distance(recipe: Recipe, made: Recipe) -> tuple[int, int]:
    """How many settings no option can change from one recipe to the other, and how many one can."""
    different = [name for name in vars(recipe) if getattr(recipe, name) != getattr(made, name)]
    return len(_fixed(recipe, made)), len(different)


def _fixed(recipe: Recipe, made: Recipe) -> list[str]:
    """The fields in which they differ and which no option can change; none asks for all images."""
    return [
        name
        for name in vars(recipe)
        if name != "name"
        and getattr(recipe, name) != getattr(made, name)
        and (name not in _RECIPE_OPTIONS or getattr(recipe, name) is None)
    ]


def _images(request: SearchRequest) -> list[str]:
    """The options on images of one's own."""
    form = request.image_form
    square = form.size is not None and form.size[0] == form.size[1]
    words = ["--image-size", str(form.size[0])] if form.size and square else []
    words += ["--channels", str(form.channels)] if form.channels else []
    return [*words, "--flip"] if form.flip else words


def _finals(request: SearchRequest) -> list[str]:
    finals = request.finals
    if len(request.objectives) > 1:  # they have none anyway
        return []
    words = ["--finals", str(finals.share) if finals.share else "none"]
    return [*words, "--final-epochs", str(finals.epochs)] if finals.epochs else words


def _limits(config: RunConfig) -> list[str]:
    """The limits that options have changed in the space."""
    space = config.request.space
    original = parse_space(space.text, space.name, space.name, space.ordered_lists).limits
    words = []
    for name, option in (
        ("max_params", "--max-params"),
        ("max_macs", "--max-macs"),
        ("max_latency_ms", "--max-latency-ms"),
    ):
        limit = space.limits.get(name)
        if limit is not None and limit != original.get(name):
            words += [option, str(limit)]
    return words


def _storage(config: RunConfig) -> list[str]:
    """The database, without its password."""
    return ["--storage", config.study.storage] if config.study.storage else []
