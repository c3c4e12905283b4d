"""The commands that made a run, as far as its run.json and records tell."""

from __future__ import annotations

import shlex

from ..recipe import RECIPES
from ..results.config import RunConfig
from ..results.request import SearchRequest
from ..spaces.reader import parse_space, shipped_spaces
from .contents import Contents

# A field of the recipe with its option; other fields cannot be changed by one.
_RECIPE_OPTIONS = {
    "epochs": "--epochs",
    "images_per_epoch": "--images-per-epoch",
    "batch_size": "--batch-size",
    "optimizer": "--optimizer",
    "learning_rate": "--lr",
    "weight_decay": "--wd",
    "momentum": "--momentum",
}
# Fields of the request with their options; those with the default need none.
_OPTIONS = {
    "data_dir": "--data-dir",
    "validation_size": "--validation-size",
    "seed": "--seed",
    "objective": "--objective",
    "sampler": "--sampler",
    "keep": "--keep",
    "trial_timeout": "--trial-timeout",
    "precision": "--precision",
}


def made_by(contents: Contents) -> list[list[str]]:
    """The command that searches, or resumes, this run, and the one that exports its best.

    Each is a list of lines for a shell, which a page joins with backslashes: one for each option.
    Workers, devices and threads are not told: they decide how fast a search is, not what it finds.
    A space file is named as in the working directory, because only its text is kept.
    """
    run = str(contents.run.path)
    config, baselines = contents.config, [r for r in contents.records if r.subject.is_baseline]
    words = ["nas-incep", "search", _space(config), "--run", run, "--engine", config.engine]
    for name in [record.subject.name for record in baselines] or ["none"]:
        words += ["--baseline", name]
    commands = [_lines([*words, *_options(config)])]
    if contents.best:
        commands.append(_lines(["nas-incep", "export", run, f"{run}/best"]))
    return commands


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
    words = ["--dataset", request.dataset, "--trials", str(request.trials)]
    preset, _, _ = request.recipe.name.partition(" with ")
    if preset in RECIPES:
        words += ["--recipe", preset]
        for name, option in _RECIPE_OPTIONS.items():
            value = getattr(request.recipe, name)
            if value != getattr(RECIPES[preset], name):
                words += [option, str(value)]
    for name, option in _OPTIONS.items():
        value = getattr(request, name)
        if value is not None and value != SearchRequest.__dataclass_fields__[name].default:
            words += [option, str(value)]
    if request.pruning.name != "none":
        words += ["--pruner", request.pruning.name]
        words += ["--first-rung", str(request.pruning.first_rung)]
        words += ["--reduction", str(request.pruning.reduction)]
    words += ["--latency"] if request.latency else []
    words += ["--deterministic"] if request.deterministic else []
    words += [*_images(request), *_finals(request)]
    return [*words, *_limits(config), *_storage(config)]


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
    words = ["--finals", f"{finals.share:g}" if finals.share else "none"]
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
