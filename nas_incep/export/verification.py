"""Verifying that a bundle reproduces its recorded accuracy in a fresh process."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .._machine import FLOAT32
from .._processes import last_sentence, own_command, signal_name
from ..errors import InputError
from .bundle import Bundle

# Another processor or thread count sums in another order, which may change the class of an image
# or two.
TOLERATED_PART = 0.0005


@dataclass(frozen=True)
class Verification:
    """The recorded accuracy of a bundle, and the one measured after reloading it."""

    recorded: float
    measured: float
    images: int
    trained_in: str  # the precision of training; both accuracies were measured in float32
    seen_in_training: bool = False  # the network was trained on these images, too

    @property
    def holds(self) -> bool:
        tolerated = max(1.0, TOLERATED_PART * self.images)
        return abs(self.recorded - self.measured) * self.images <= tolerated + 1e-6


def verify(bundle: Bundle, engine: str, data_dir: Path | None, device: str) -> Verification:
    """Evaluates a bundle in a fresh process, for comparison with its recorded accuracy.

    Raises InputError if it cannot be evaluated.
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
    return Verification(
        bundle.manifest.accuracy.validation,
        result["accuracy"],
        result["images"],
        bundle.manifest.environment.get("precision", FLOAT32),
        bundle.manifest.accuracy.validation_seen_in_training,
    )
