"""Bundles: an exported network that proves itself. A folder of three files:

architecture.json   the architecture
weights.params      its parameters, in MXNet's format
manifest.json       the sums of both, how images are prepared, what was measured, how it was made
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._files import read_json, sha256, write_json
from .._machine import FLOAT32
from ..architecture import Architecture, read_architecture
from ..datasets.batches import Normalization
from ..errors import InputError
from ..records import COMPLETE, TrialRecord
from ..results import leaderboard
from ..results.objectives import parse_objectives
from ..results.run import Run

FORMAT = "nas-incep-bundle"
VERSION = 1

# Every look at the sealed test part is noted in this file, which a later export keeps.
TEST_LOG = "test_evaluations.jsonl"
ARCHITECTURE, WEIGHTS, MANIFEST = "architecture.json", "weights.params", "manifest.json"

# Another processor or thread count adds in another order, which may turn an image or two.
TOLERATED_PART = 0.0005


class DamagedError(InputError):
    """A file of a bundle is not the one that was exported."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose sums have been checked."""

    path: Path
    manifest: dict[str, Any]
    architecture: Architecture

    @property
    def weights_path(self) -> Path:
        return self.path / WEIGHTS

    @property
    def normalisation(self) -> Normalization:
        preprocessing = self.manifest["preprocessing"]
        return Normalization(tuple(preprocessing["mean"]), tuple(preprocessing["std"]))


@dataclass(frozen=True)
class Verification:
    """What a bundle says of itself, and what came back when it was loaded anew."""

    recorded: float
    measured: float
    images: int
    trained_in: str  # the precision; both accuracies are of an evaluation in float32

    @property
    def holds(self) -> bool:
        tolerated = max(1.0, TOLERATED_PART * self.images)
        return abs(self.recorded - self.measured) * self.images <= tolerated + 1e-6


def choose(run: Run, rank: int | None = None, trial: int | None = None) -> TrialRecord:
    """The complete candidate of that rank or trial number; by default the most accurate one.

    Ranks are those of the leaderboard, by all objectives of the run. Raises InputError.
    """
    objectives = run.config()["search"].get("objective", "accuracy")
    ranked = leaderboard.rank(run.records(), parse_objectives(objectives))
    if trial is not None:
        found = [record for record in ranked if record.trial == trial]
        if not found:
            raise InputError(f"{run.path}: has no trained trial {trial}")
    elif rank is not None:
        if not 1 <= rank <= len(ranked):
            raise InputError(f"{run.path}: has ranks 1 to {len(ranked)}, not {rank}")
        found = [ranked[rank - 1]]
    else:
        # A baseline can push the most accurate candidate off the front, so accuracy alone decides.
        ranked = leaderboard.rank(ranked)
        found = [r for r in ranked if r.kind == "candidate" and r.state == COMPLETE]
        if not found:
            raise InputError(f"{run.path}: has no complete candidate to export yet")
    record = found[0]
    if record.kind != "candidate":
        raise InputError(
            f"{run.path}: rank {rank} is the baseline {record.name}; only candidates are exported"
        )
    if record.state != COMPLETE:
        raise InputError(
            f"{run.path}: trial {record.trial} ended as {record.state}; it has no parameters"
        )
    return record


def export(run: Run, record: TrialRecord, target: Path, force: bool = False) -> None:
    """Writes the bundle of a complete candidate: the whole folder appears in one step, or none."""
    if target.exists() and not force:
        raise InputError(f"{target}: exists; --force replaces a bundle there")
    if target.exists() and not (target / MANIFEST).exists():
        raise InputError(f"{target}: exists and is not a bundle, so it is not replaced")
    parameters = run.parameters_path(record.kind, record.trial, record.name)
    if not parameters.exists():
        raise InputError(
            f"{parameters}: is gone, so trial {record.trial} cannot be exported "
            "(a search keeps the parameters of its best candidates: --keep)"
        )
    assert record.architecture
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        new = Path(folder) / "new"
        new.mkdir()
        shutil.copyfile(parameters, new / WEIGHTS)
        write_json(new / ARCHITECTURE, record.architecture.to_json())
        write_json(new / MANIFEST, _manifest(run.config(), record, new))
        old = Path(folder) / "old"
        if target.exists():
            if (target / TEST_LOG).exists():
                shutil.copyfile(target / TEST_LOG, new / TEST_LOG)
            os.replace(target, old)
        try:
            os.replace(new, target)
        except OSError:
            if old.exists():
                os.replace(old, target)
            raise


def _manifest(config: dict[str, Any], record: TrialRecord, folder: Path) -> dict[str, Any]:
    search, images = config["search"], config["data"]
    last = record.curve[-1]
    return {
        "format": FORMAT,
        "version": VERSION,
        "identity": record.name,
        "files": {name: {"sha256": sha256(folder / name)} for name in (ARCHITECTURE, WEIGHTS)},
        "preprocessing": {
            "layout": "NCHW",
            "input_shape": images["image_shape"],
            "scale": "pixel / 255, then (value - mean) / std for each channel",
            "mean": images["mean"],
            "std": images["std"],
        },
        "classes": images["classes"],
        "data": {
            "name": search["dataset"],
            "fingerprint": search["data_fingerprint"],
            "validation_size": search["validation_size"],
            "official": images["official"],
        },
        "accuracy": {
            "validation": last.val_accuracy,
            "train": last.train_accuracy,
            "epochs": record.epochs,
        },
        "recipe": record.recipe,
        "trial": {"number": record.trial, "seed": record.seed, "search_seed": search["seed"]},
        "environment": record.environment,
    }


def open_bundle(path: Path) -> Bundle:
    """Reads a bundle and checks the sums of its files.

    Raises InputError saying what was expected and what was found.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such bundle (a folder that `export` wrote is expected)")
    manifest_path = path / MANIFEST
    manifest = read_json(manifest_path)
    _check_manifest(manifest, str(manifest_path))
    for name in (ARCHITECTURE, WEIGHTS):
        file = path / name
        if not file.exists():
            raise InputError(f"{file}: is missing from the bundle")
        expected, found = manifest["files"][name]["sha256"], sha256(file)
        if expected != found:
            raise DamagedError(
                f"{file}: damaged: its SHA-256 is {found}, the manifest expects {expected}"
            )
    architecture = read_architecture(str(path / ARCHITECTURE))
    if architecture.identity != manifest["identity"]:
        raise InputError(
            f"{path}: the manifest is of {manifest['identity']}, "
            f"the architecture is {architecture.identity}"
        )
    return Bundle(path, manifest, architecture)


def _check_manifest(manifest: Any, source: str) -> None:
    """Raises InputError unless everything that is read of a manifest later is there."""
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{source}: not a bundle's manifest (format {FORMAT!r} expected)")
    if manifest.get("version") != VERSION:
        raise InputError(f"{source}: version is {manifest.get('version')!r}, expected {VERSION}")
    for place in (
        ("identity",),
        ("classes",),
        ("files", ARCHITECTURE, "sha256"),
        ("files", WEIGHTS, "sha256"),
        ("preprocessing", "mean"),
        ("preprocessing", "std"),
        ("data", "name"),
        ("data", "fingerprint"),
        ("data", "validation_size"),
        ("accuracy", "validation"),
    ):
        value: Any = manifest
        for key in place:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            raise InputError(f"{source}: {'.'.join(place)} is missing")


def verify(bundle: Bundle, data_dir: Path | None, device: str) -> Verification:
    """Evaluates a bundle in a fresh process and holds the result against the recorded one."""
    command = [sys.executable, "-m", "nas_incep", "evaluate", str(bundle.path)]
    command += ["--split", "validation", "--format", "json", "--device", device]
    if data_dir:
        command += ["--data-dir", str(data_dir)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        message = done.stderr.strip().splitlines() or ["it said nothing"]
        raise InputError(f"{bundle.path}: cannot be evaluated: {message[-1]}")
    result = json.loads(done.stdout)
    return Verification(
        bundle.manifest["accuracy"]["validation"],
        result["accuracy"],
        result["images"],
        bundle.manifest.get("environment", {}).get("precision", FLOAT32),
    )
