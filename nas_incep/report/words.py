"""A run in words: what was searched, what was found, what to know about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .._text import counted
from ..records import COMPLETE, STATES, TrialRecord
from ..results.leaderboard import short_number, surroundings
from ..results.ranking import verdict
from .contents import Contents


def summary(contents: Contents) -> list[str]:
    """The most important sentences about a run, in the order in which people ask for them."""
    return [
        *_found(contents),
        *(f"{sentence[0].upper()}{sentence[1:]}." for sentence in verdict(contents.ranking)),
        *_searched(contents),
        *_spent(contents),
        *_state(contents),
        *contents.notices,
    ]


def reasons(records: Sequence[TrialRecord]) -> list[tuple[str, int, str]]:
    """How often candidates ended in each state for each reason, in the order of the states.

    The numbers of trials in reasons about duplicates are left out, so that these count together.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for record in records:
        if not record.subject.is_baseline:
            outcome = record.outcome
            same = outcome.duplicate_of is not None
            reason = "the same network as an earlier trial" if same else outcome.reason
            counts[outcome.state, reason] += 1
    order = sorted(counts.items(), key=lambda item: (STATES.index(item[0][0]), -item[1]))
    return [(state, count, reason) for (state, reason), count in order]


def duration(seconds: float) -> str:
    """A time as people say it: 45 s, 3.5 min, 2.1 h."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _found(contents: Contents) -> list[str]:
    best, baseline = contents.best, contents.best_baseline
    if best is None:
        return ["No candidate was trained to the end yet."]
    text = f"The best candidate, {best.subject.label}, has {_facts(contents, best)}."
    if baseline is None:
        return [text]
    return [text, f"The best baseline, {baseline.subject.name}, has {_facts(contents, baseline)}."]


def _facts(contents: Contents, record: TrialRecord) -> str:
    outcome = record.outcome
    return (
        f"a validation accuracy of {contents.accuracy(record):.2%} with "
        f"{short_number(outcome.parameters)} parameters and {short_number(outcome.macs)} MACs"
    )


def _searched(contents: Contents) -> list[str]:
    request = contents.config.request
    recipe, words = request.recipe, f"images of {request.dataset}"
    images = f"{recipe.images_per_epoch:,} {words}" if recipe.images_per_epoch else f"all {words}"
    epochs = counted(recipe.epochs, "epoch")
    text = (
        f"The search drew networks from the space {request.space.name} with the sampler "
        f"{request.sampler} and trained each by the recipe {recipe.name}: {epochs} of {images}."
    )
    if len(request.objectives) > 1:
        text += f" Its objectives were {' and '.join(request.objectives)}."
    if request.baseline_rates:
        text += f" Learning rates of baselines, by the size of their weights: {request.rates_text}."
    if request.pruning.name != "none":
        text += f" The pruner {request.pruning.name} stopped some of them early."
    return [text]


def _spent(contents: Contents) -> list[str]:
    everything = [*contents.records, *contents.ranking.reruns]
    trained = [record for record in everything if record.outcome.curve]
    if not trained:
        return []
    images = sum(point.images for record in trained for point in record.outcome.curve)
    seconds = sum(record.seconds for record in everything)
    where = surroundings(trained)
    return [
        f"It trained on {images:,} images in {duration(seconds)} of work"
        f" by the engine {contents.config.engine}" + (f" on {where}." if where else ".")
    ]


def _state(contents: Contents) -> list[str]:
    ended = [r for r in contents.records if r.counts and not r.subject.is_baseline]
    complete = sum(record.outcome.state == COMPLETE for record in ended)
    wanted = contents.config.request.trials
    text = f"{len(ended)} of {counted(wanted, 'candidate')} ended, {complete} of them complete"
    if contents.is_running:
        return [f"The search is running: {text}."]
    return [f"{text}."]
