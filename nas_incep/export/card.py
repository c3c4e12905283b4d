"""The README.md of a bundle: what the network is, how good, how it was chosen, how to use it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from .._machine import FLOAT32
from .._text import counted, plain
from ..architecture import Architecture
from ..errors import InputError
from ..records import COMPLETE, SEARCH, TrialRecord
from ..results.leaderboard import short_number
from ..results.ranking import Ranking
from ..results.standings import Standing, network_of
from ..zoo_network import AnyNetwork
from .manifest import (
    ARCHITECTURE,
    MANIFEST,
    NETWORK,
    ONNX_MODEL,
    PROGRAM,
    SYMBOL,
    WEIGHTS,
    Manifest,
)

CARD = "README.md"
# Also what a renderer would take for a link.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|&~$:@^]|(?<=www)\.)", re.IGNORECASE)

_FILES = {
    ARCHITECTURE: "the blocks of the network",
    NETWORK: "the graph of the network",
    WEIGHTS: "its parameters, in MXNet's format",
    MANIFEST: "checksums, preprocessing, class names, accuracy, recipe and versions",
    ONNX_MODEL: "the network for ONNX runtimes, with the normalization inside",
    SYMBOL: "the network for MXNet alone, with the normalization inside; its parameters are "
    "in model-0000.params",
    PROGRAM: "the network for PyTorch alone (`torch.export.load`), with the normalization inside",
}
_USE = """\
```python
import nas_incep  # this folder is called `best` here

predict = nas_incep.load_predictor("best")  # engine={engines}
for name, probability in predict("image.png")[:3]:  # or an array (height, width, channels), uint8
    print(f"{{name}}: {{probability:.1%}}")

network = nas_incep.load("best")  # the network itself, for normalized images
```

On the command line: `nas-incep predict best image.png`, and `nas-incep verify best` measures the
accuracy again.
"""


@dataclass(frozen=True)
class Choice:
    """How an exported candidate compares with the others of its run."""

    place: int  # in the ranking of the run's complete candidates, 1 for the best
    candidates: int
    standing: Standing | None  # what its seeds say


def choice_of(record: TrialRecord, ranking: Ranking) -> Choice:
    """The place of a complete candidate among the complete candidates of its run."""
    complete = [
        r.subject.trial
        for r in ranking.records
        if r.outcome.state == COMPLETE and not r.subject.is_baseline
    ]
    place = complete.index(record.subject.trial) + 1
    return Choice(place, len(complete), ranking.standings.get(network_of(record.subject)))


def card_of(
    manifest: Manifest, network: AnyNetwork, record: TrialRecord, choice: Choice | None
) -> str:
    """The text of README.md, in Markdown; names from files are shown as text.

    `choice` is None for a baseline, and for a network that was trained again after it was chosen.
    """
    facts = "\n".join(f"| {name} | {value} |" for name, value in _facts(manifest, network, record))
    listed = "\n".join(
        f"- `{name}`: {what}"
        for name, what in _FILES.items()
        if name == MANIFEST or name in manifest.files
    )
    is_baseline = manifest.trial.number is None
    use = _USE.format(engines='"gluon" or "torch"' if is_baseline else '"gluon", "torch" or "onnx"')
    classes = ", ".join(map(escaped, manifest.classes))
    return (
        f"# An image classifier for {_title(manifest.data.name)}\n\n"
        f"| network | {escaped(manifest.identity)} |\n|---|---|\n{facts}\n\n"
        f"## How good it is\n\n{_how_good(manifest, choice)}\n\n"
        f"## Classes\n\nIn the order of the outputs: {classes}.\n\n"
        f"## Use\n\n{use}\n"
        f"## Files\n\n{listed}\n\n"
        "## License\n\n"
        "The package nas_incep, with which this network was made, has the license Apache-2.0. The "
        "images that it\nwas trained on have terms of their own.\n"
    )


def escaped(text: object) -> str:
    """A text that Markdown shows as it is, on one line."""
    return _MARKUP.sub(r"\\\1", plain(text, limit=200))


def _title(name: str) -> str:
    """The usual name of a data set."""
    from ..datasets import dataset_info

    try:
        return escaped(dataset_info(name).title)
    except InputError:
        return escaped(PurePath(name).name)


def _facts(
    manifest: Manifest, network: AnyNetwork, record: TrialRecord
) -> Iterator[tuple[str, str]]:
    """The rows of the table."""
    channels, height, width = manifest.preprocessing.input_shape
    if isinstance(network, Architecture):
        blocks = " ".join("-".join(map(str, block)) for block in network.blocks)
        yield "blocks", f"{blocks} (num\\_convs-n1\\_1-n2\\_1-n2\\_3-n3\\_1-n3\\_5-n4\\_1)"
    yield "parameters", f"{network.parameters:,}"
    yield "MACs for one image", short_number(network.macs)
    colors = {1: "gray", 3: "RGB"}.get(channels, f"{channels} channels")
    yield "input", f"{height} x {width} pixels, {colors}"
    per_channel = zip(manifest.preprocessing.mean, manifest.preprocessing.std)
    values = "; ".join(f"{mean:.4f}, {std:.4f}" for mean, std in per_channel)
    yield "normalization", f"pixel / 255, then (value - mean) / std; mean and std: {values}"
    official = {True: ", the official files", False: ", NOT the official files", None: ""}
    data = manifest.data
    fingerprint = f"fingerprint {escaped(data.fingerprint)}"
    yield "data", f"{escaped(PurePath(data.name).name)}{official[data.official]}, {fingerprint}"
    yield "validation accuracy", _with_error(manifest)
    images = record.outcome.curve[-1].images
    yield "budget", f"{counted(manifest.accuracy.epochs, 'epoch')} of {images:,} images"
    yield "recipe", escaped(manifest.recipe.name)
    number = manifest.trial.number
    owner = "a baseline" if number is None else f"trial {number}"
    yield "seed", f"{manifest.trial.seed} ({owner} of the search)"
    yield "engine", escaped(_engine(manifest))
    versions = manifest.environment.get("versions")
    if isinstance(versions, dict) and versions:
        yield "versions", escaped(", ".join(f"{name} {v}" for name, v in versions.items()))


def _engine(manifest: Manifest) -> str:
    environment = {"device": "?", "threads": "?", "precision": FLOAT32, **manifest.environment}
    threads = environment["threads"]
    return (
        f"{manifest.engine} on {environment['device']}, {threads} thread{'s' * (threads != 1)}; "
        f"trained in {environment['precision']}, evaluated in {FLOAT32}"
    )


def _with_error(manifest: Manifest) -> str:
    accuracy, images = manifest.accuracy.validation, manifest.data.validation_size
    error = math.sqrt(accuracy * (1 - accuracy) / images)
    seen = ", seen in training" if manifest.accuracy.validation_seen_in_training else ""
    return f"{accuracy:.4f} ± {error:.4f} (binomial standard error of {images:,} images{seen})"


def _how_good(manifest: Manifest, choice: Choice | None) -> str:
    if choice:
        about = _chosen(choice)
    else:
        about = _retrained(manifest) if manifest.retraining else _NOT_CHOSEN
    return (
        f"Validation accuracy {_with_error(manifest)}.\n\n{about}\n\n"
        "`nas-incep evaluate best --split test` measures it on images that had no part in the "
        "choice."
    )


_NOT_CHOSEN = (
    "A network of a model zoo, trained like the candidates of a search to be compared with them.\n"
    "It was not chosen by its accuracy, which therefore does not flatter it."
)


def _retrained(manifest: Manifest) -> str:
    """What the seeds of a network say that was trained again, and on which images."""
    found = manifest.retraining
    assert found is not None
    start = found.started_from
    how = f"from parameters of {counted(start.epochs, 'epoch')}" if start else "from scratch"
    text = f"Trained again {how} on {manifest.data.trained_on} after a search had chosen it"
    if found.deviation is not None:
        text += (
            f", by {len(found.seeds)} seeds:\ntheir mean is {found.mean:.4f}, the deviation "
            f"between them {found.deviation:.4f}. These are the parameters of the first"
        )
    if manifest.accuracy.validation_seen_in_training:
        text += (
            ".\nThe validation images were among those that it was trained on, so the accuracy on "
            "them says nothing about\nother images"
        )
    return f"{text}."


def _chosen(choice: Choice) -> str:
    """How the network was chosen, and what that does to its accuracy."""
    place = "The best" if choice.place == 1 else f"Number {choice.place}"
    if choice.candidates == 1:
        place = "The only candidate that was trained to the end"
    else:
        place += f" of {choice.candidates} candidates in the ranking of its run"
    standing = choice.standing
    if standing is None or SEARCH in standing.reported_by:
        return (
            f"{place}, by one seed.\nThat flatters it: the images that it is measured on have also "
            "chosen it, and the error above\nknows neither of that nor of what another seed would "
            "change."
        )
    error = standing.standard_error
    shown = "" if error is None else f" ± {error:.4f} (standard error between seeds)"
    seeds = "a seed" if standing.seeds == 1 else f"{standing.seeds} seeds"
    return (
        f"{place}, which is by {standing.chosen_by}.\nTrained anew by {seeds} "
        f"({standing.reported_by}), such a network has a validation accuracy of\n"
        f"{standing.mean_accuracy:.4f}{shown}. That tells more than the accuracy above: it belongs "
        "to the\nsearch's own seed, whose parameters these are, and has also chosen the network, "
        "which flatters it."
    )
