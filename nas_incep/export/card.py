"""The README.md of a bundle: what the network is, how good, how it was chosen, how to use it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .._machine import FLOAT32
from .._text import plain
from ..architecture import Architecture
from ..errors import InputError
from ..records import COMPLETE, TrialRecord
from ..results.leaderboard import rank, short_number
from .manifest import ARCHITECTURE, MANIFEST, ONNX_MODEL, PROGRAM, SYMBOL, WEIGHTS, Manifest

CARD = "README.md"
# Also what a renderer would take for a link.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|&~$:@^]|(?<=www)\.)", re.IGNORECASE)

_FILES = {
    ARCHITECTURE: "the blocks of the network",
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

predict = nas_incep.load_predictor("best")  # engine="gluon", "torch" or "onnx"
for name, probability in predict("image.png")[:3]:  # or an array (height, width, channels), uint8
    print(f"{name}: {probability:.1%}")

network = nas_incep.load("best")  # the network itself, for normalized images
```

On the command line: `nas-incep predict best image.png`, and `nas-incep verify best` measures the
accuracy again.
"""


@dataclass(frozen=True)
class Choice:
    """How an exported candidate compares with the others of its run."""

    place: int  # by validation accuracy, 1 for the best
    candidates: int  # that were trained to the end


def choice_of(record: TrialRecord, records: Iterable[TrialRecord]) -> Choice:
    """The place of a complete candidate among the complete candidates of its run."""
    others = [r for r in records if r.outcome.state == COMPLETE and not r.subject.is_baseline]
    complete = {r.subject.trial: r for r in [*others, record]}
    order = [r.subject.trial for r in rank(list(complete.values()))]
    return Choice(order.index(record.subject.trial) + 1, len(order))


def card_of(
    manifest: Manifest, architecture: Architecture, record: TrialRecord, choice: Choice
) -> str:
    """The text of README.md, in Markdown; names from files are shown as text."""
    facts = "\n".join(
        f"| {name} | {value} |" for name, value in _facts(manifest, architecture, record)
    )
    listed = "\n".join(
        f"- `{name}`: {what}"
        for name, what in _FILES.items()
        if name == MANIFEST or name in manifest.files
    )
    classes = ", ".join(map(escaped, manifest.classes))
    return (
        f"# An image classifier for {_title(manifest.data.name)}\n\n"
        f"| network | {escaped(manifest.identity)} |\n|---|---|\n{facts}\n\n"
        f"## How good it is\n\n{_how_good(manifest, choice)}\n\n"
        f"## Classes\n\nIn the order of the outputs: {classes}.\n\n"
        f"## Use\n\n{_USE}\n"
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
        return escaped(name)


def _facts(
    manifest: Manifest, architecture: Architecture, record: TrialRecord
) -> Iterator[tuple[str, str]]:
    """The rows of the table."""
    channels, height, width = manifest.preprocessing.input_shape
    blocks = " ".join("-".join(map(str, block)) for block in architecture.blocks)
    yield "blocks", f"{blocks} (num\\_convs-n1\\_1-n2\\_1-n2\\_3-n3\\_1-n3\\_5-n4\\_1)"
    yield "parameters", f"{architecture.parameters:,}"
    yield "MACs for one image", short_number(architecture.macs)
    colors = {1: "gray", 3: "RGB"}.get(channels, f"{channels} channels")
    yield "input", f"{height} x {width} pixels, {colors}"
    per_channel = zip(manifest.preprocessing.mean, manifest.preprocessing.std)
    values = "; ".join(f"{mean:.4f}, {std:.4f}" for mean, std in per_channel)
    yield "normalization", f"pixel / 255, then (value - mean) / std; mean and std: {values}"
    official = {True: ", the official files", False: ", NOT the official files", None: ""}
    data = manifest.data
    fingerprint = f"fingerprint {escaped(data.fingerprint)}"
    yield "data", f"{escaped(data.name)}{official[data.official]}, {fingerprint}"
    yield "validation accuracy", _with_error(manifest)
    images = record.outcome.curve[-1].images
    yield "budget", f"{manifest.accuracy.epochs} epochs of {images:,} images"
    yield "recipe", escaped(manifest.recipe.name)
    yield "seed", f"{manifest.trial.seed} (trial {manifest.trial.number} of the search)"
    yield "engine", escaped(_engine(manifest))
    versions = manifest.environment.get("versions")
    if isinstance(versions, dict) and versions:
        yield "versions", escaped(", ".join(f"{name} {v}" for name, v in versions.items()))


def _engine(manifest: Manifest) -> str:
    environment = {"device": "?", "threads": "?", "precision": FLOAT32, **manifest.environment}
    return (
        f"{manifest.engine} on {environment['device']}, {environment['threads']} threads; "
        f"trained in {environment['precision']}, evaluated in {FLOAT32}"
    )


def _with_error(manifest: Manifest) -> str:
    accuracy, images = manifest.accuracy.validation, manifest.data.validation_size
    error = math.sqrt(accuracy * (1 - accuracy) / images)
    return f"{accuracy:.4f} ± {error:.4f} (binomial standard error of {images:,} images)"


def _how_good(manifest: Manifest, choice: Choice) -> str:
    place = "The best" if choice.place == 1 else f"Number {choice.place}"
    if choice.candidates == 1:
        chosen = "It was the only candidate that was trained to the end, with one seed."
    else:
        chosen = (
            f"{place} of {choice.candidates} candidates by this accuracy, each trained once, with "
            "one seed.\nThat flatters it: the images it is measured on have also chosen it, and "
            "the error above does\nnot know of that, nor of what another seed would change."
        )
    return (
        f"Validation accuracy {_with_error(manifest)}.\n\n{chosen}\n\n"
        "`nas-incep evaluate best --split test` measures it on images that had no part in the "
        "choice."
    )
