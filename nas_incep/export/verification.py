"""Verifying that a bundle reproduces its recorded accuracy in a fresh process.

On another engine than the one that trained it, the scores of both engines are compared, too.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from .._machine import FLOAT32
from .._processes import last_sentence, own_command, signal_name
from ..engines import lacking, load_engine
from ..engines.base import Engine
from ..errors import InputError
from .bundle import Bundle
from .evaluation import images_of

# Another processor or thread count sums in another order, which may change the class of an image
# or two; so does another engine, a little more often.
TOLERATED_PART, TOLERATED_OF_ENGINES = 0.0005, 0.001
# What rounding makes of scores stays far below it.
TOLERATED_SCORES = 1e-4
FRAMEWORKS = ("gluon", "torch")
BATCH = 256


@dataclass(frozen=True)
class Scores:
    """How far the scores of another engine are from those of the one that trained the network."""

    # The largest difference, in parts of the largest score; None: they were not compared.
    difference: Optional[float]
    why_not: str = ""


@dataclass(frozen=True)
class Verification:
    """The recorded accuracy of a bundle, and the one measured after reloading it."""

    recorded: float
    measured: float
    images: int
    trained_in: str  # the precision of training; both accuracies were measured in float32
    engine: str  # that measured
    trained_by: str
    seen_in_training: bool = False  # the network was trained on these images, too
    scores: Optional[Scores] = None  # None: the engine is the one that trained it

    @property
    def holds(self) -> bool:
        same = self.engine == self.trained_by
        part = TOLERATED_PART if same else TOLERATED_OF_ENGINES
        tolerated = max(1.0, part * self.images)
        if abs(self.recorded - self.measured) * self.images > tolerated + 1e-6:
            return False
        found = self.scores.difference if self.scores else None
        return found is None or found <= TOLERATED_SCORES


def verify(
    bundle: Bundle,
    engine: str,
    data_dir: Path | None,
    device: str,
    prepare: Callable[[str], None],
) -> Verification:
    """Evaluates a bundle in a fresh process, for comparison with its recorded accuracy.

    `prepare` is called with an engine's name before its framework is loaded here. Raises InputError
    if the bundle cannot be evaluated.
    """
    arguments = ["--split", "validation", "--format", "json"]
    arguments += ["--engine", engine, "--device", device]
    if data_dir:
        arguments += ["--data-dir", str(data_dir)]
    command = own_command("evaluate", bundle.path, *arguments)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode < 0:
        raise InputError(
            f"{bundle.path}: cannot be evaluated: the process was ended by "
            f"{signal_name(done.returncode)}"
        )
    if done.returncode:
        reason = last_sentence(done.stderr) or "no message"
        raise InputError(f"{bundle.path}: cannot be evaluated: {reason}")
    result = json.loads(done.stdout)
    trained_by = bundle.manifest.engine
    other = engine != trained_by and trained_by in FRAMEWORKS
    return Verification(
        bundle.manifest.accuracy.validation,
        result["accuracy"],
        result["images"],
        bundle.manifest.environment.get("precision", FLOAT32),
        engine,
        trained_by,
        bundle.manifest.accuracy.validation_seen_in_training,
        _compare(bundle, engine, data_dir, device, prepare) if other else None,
    )


def _compare(
    bundle: Bundle,
    engine: str,
    data_dir: Path | None,
    device: str,
    prepare: Callable[[str], None],
) -> Scores:
    """The scores of the validation images by an engine and by the one that trained the network.

    The latter computes on the CPU, where every network can.
    """
    trained_by = bundle.manifest.engine
    missing = lacking(trained_by)
    if missing:
        return Scores(None, f"{missing} is not installed")
    prepare(trained_by)
    images = images_of(bundle, "validation", data_dir).images
    try:
        expected = _scores(bundle, load_engine(trained_by), "cpu", images)
        found = _scores(bundle, load_engine(engine), device, images)
    except InputError as error:  # such as a zoo's network that only the other has
        return Scores(None, str(error))
    if not (np.isfinite(expected).all() and np.isfinite(found).all()):
        raise InputError(f"{bundle.path}: the outputs of its network are not finite")
    scale = float(np.abs(expected).max())
    apart = float(np.abs(found - expected).max())
    return Scores(apart / scale if scale else apart)


def _scores(bundle: Bundle, engine: Engine, device: str, images: np.ndarray) -> np.ndarray:
    forward = engine.forward(bundle.network, bundle.weights_path, engine.resolve(device))
    parts = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    return np.concatenate([forward(bundle.normalization(part)) for part in parts])
