"""Bundles: an exported network that can be verified, as a folder of three files.

architecture.json   the architecture
weights.params      its parameters, in MXNet's format
manifest.json       the checksums of both, the preprocessing, the accuracies, the origin
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .. import architecture as architectures
from .._files import MAX_FOREIGN_TEXT, copy_regular, naming, read_json, sha256, write_json
from .._machine import FLOAT32
from .._processes import last_sentence, own_command, signal_name
from ..architecture import Architecture, stages
from ..datasets.batches import Normalization
from ..errors import InputError
from ..records import COMPLETE, TrialRecord
from ..results import leaderboard
from ..results.config import RunConfig
from ..results.ranking import rank_run
from ..results.run import Run
from . import manifest as manifests
from .manifest import ARCHITECTURE, MANIFEST, WEIGHTS, Manifest, manifest_of

# Every evaluation on the sealed test part is logged in this file, which a later export keeps.
TEST_LOG = "test_evaluations.jsonl"

# Another processor or thread count sums in another order, which may change the class of an image
# or two.
TOLERATED_PART = 0.0005


class DamagedError(InputError):
    """A file of a bundle is not the one that was exported."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose checksums have been verified."""

    path: Path
    manifest: Manifest
    architecture: Architecture

    @property
    def weights_path(self) -> Path:
        return self.path / WEIGHTS

    @property
    def normalization(self) -> Normalization:
        preprocessing = self.manifest.preprocessing
        return Normalization(preprocessing.mean, preprocessing.std)


@dataclass(frozen=True)
class Verification:
    """The recorded accuracy of a bundle, and the one measured after reloading it."""

    recorded: float
    measured: float
    images: int
    trained_in: str  # the precision of training; both accuracies were measured in float32

    @property
    def holds(self) -> bool:
        tolerated = max(1.0, TOLERATED_PART * self.images)
        return abs(self.recorded - self.measured) * self.images <= tolerated + 1e-6


def choose(
    run: Run,
    config: RunConfig,
    rank: int | None = None,
    trial: int | None = None,
    say: Callable[[str], None] | None = None,
) -> TrialRecord:
    """The complete candidate with that rank or trial number; by default the most accurate one.

    Ranks are those of the leaderboard, by all objectives of the run. Damaged records are reported
    to `say` and left out; without `say` they raise InputError. Raises InputError if the choice
    cannot be exported.
    """
    ranking = rank_run(config.request, run.records(say), run.reruns(say))
    ranked = list(ranking.records)
    if trial is not None:
        found = [record for record in ranked if record.subject.trial == trial]
        if not found:
            raise InputError(f"{run.path}: has no trained trial {trial}")
    elif rank is not None:
        if not 1 <= rank <= len(ranked):
            raise InputError(f"{run.path}: has ranks 1 to {len(ranked)}, not {rank}")
        found = [ranked[rank - 1]]
    else:
        if len(config.request.objectives) > 1:
            # A baseline can push the most accurate candidate off the front: only accuracy counts.
            ranked = leaderboard.rank(ranked)
        found = [r for r in ranked if not r.subject.is_baseline and r.outcome.state == COMPLETE]
        if not found:
            raise InputError(f"{run.path}: has no complete candidate to export yet")
    record = found[0]
    subject, state = record.subject, record.outcome.state
    if subject.is_baseline:
        raise InputError(
            f"{run.path}: rank {rank} is the baseline {subject.name}; only candidates are exported"
        )
    if state != COMPLETE:
        raise InputError(
            f"{run.path}: trial {subject.trial} ended as {state}; it has no parameters"
        )
    return record


def export(
    run: Run, config: RunConfig, record: TrialRecord, target: Path, force: bool = False
) -> None:
    """Writes the bundle of a complete candidate to the folder `target`, all files or none.

    `force` replaces an existing bundle. Raises InputError if something else is there, or the
    candidate's parameters are gone.
    """
    check_target(target, force)
    weights, architecture = run.entry(record.subject).weights, record.subject.architecture
    if not os.path.lexists(weights):
        raise InputError(
            f"{weights}: is gone, so trial {record.subject.trial} cannot be exported "
            "(a search keeps the parameters of its best candidates: --keep)"
        )
    if architecture is None or not record.outcome.curve:
        raise InputError(
            f"{run.path}: the record of trial {record.subject.trial} lacks the architecture or the "
            "learning curve, so it cannot be exported"
        )
    with replacing(target) as new:
        sums = write_network(new, architecture, weights)
        write_json(new / MANIFEST, manifest_of(config, record, sums).to_json())


def check_target(target: Path, force: bool) -> None:
    """Raises InputError if something is there that a bundle may not replace."""
    if target.exists() and not force:
        raise InputError(f"{target}: exists; --force replaces a bundle there")
    if target.exists() and not (target / MANIFEST).exists():
        raise InputError(f"{target}: exists and is not a bundle, so it is not replaced")


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """An empty folder for the files of a bundle, which is `target` if the block raises nothing.

    The log of a bundle that was there is kept.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        naming(target),
        tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder,
    ):
        new, old = Path(folder) / "new", Path(folder) / "old"
        new.mkdir()
        yield new
        if target.exists():
            if os.path.lexists(target / TEST_LOG):
                copy_regular(target / TEST_LOG, new / TEST_LOG)
            os.replace(target, old)
        try:
            os.replace(new, target)
        except OSError:
            if old.exists():
                os.replace(old, target)
            raise


def write_network(new: Path, architecture: Architecture, weights: Path) -> dict[str, str]:
    """Writes an architecture and its parameters to a folder; their SHA-256 sums by name."""
    copy_regular(weights, new / WEIGHTS, _largest_weights(architecture))
    write_json(new / ARCHITECTURE, architecture.to_json())
    return {name: sha256(new / name) for name in (ARCHITECTURE, WEIGHTS)}


def _largest_weights(architecture: Architecture) -> int:
    """An upper bound for the bytes of an architecture's parameters in MXNet's format.

    There are never more running statistics than trainable parameters, and a stage has at most about
    thirty arrays, whose names and shapes take less than 2 kB each.
    """
    return 2 * 4 * architecture.parameters + (1 << 16) * len(stages(architecture))


def open_bundle(path: Path) -> Bundle:
    """Reads a bundle and verifies the checksums of its files.

    Raises InputError saying what was expected and what was found; DamagedError if a checksum
    differs.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such bundle (a folder that `export` wrote is expected)")
    manifest_path, architecture_path = path / MANIFEST, path / ARCHITECTURE
    manifest = manifests.from_json(read_json(manifest_path, regular=True), str(manifest_path))
    _check_sum(manifest, architecture_path, MAX_FOREIGN_TEXT)
    value = read_json(architecture_path, regular=True)
    architecture = architectures.from_json(value, str(architecture_path))
    if architecture.identity != manifest.identity:
        raise InputError(
            f"{path}: the manifest is of {manifest.identity}, "
            f"the architecture is {architecture.identity}"
        )
    _check_sum(manifest, path / WEIGHTS, _largest_weights(architecture))
    return Bundle(path, manifest, architecture)


def _check_sum(manifest: Manifest, file: Path, limit: int) -> None:
    """Raises InputError unless a file of at most `limit` bytes is the one that was exported."""
    if not os.path.lexists(file):
        raise InputError(f"{file}: is missing from the bundle")
    expected, found = manifest.files[file.name].sha256, sha256(file, limit)
    if expected != found:
        raise DamagedError(
            f"{file}: damaged: its SHA-256 is {found}, the manifest expects {expected}"
        )


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
    )
