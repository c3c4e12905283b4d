"""Bundles: an exported network that can be verified, as a folder of files.

architecture.json   the architecture; of a baseline, network.json
weights.params      its parameters, in MXNet's format
manifest.json       the checksums of the files, the preprocessing, the accuracies, the origin
README.md           the model card
model*              the same network for other programs, where that was asked for
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from .. import architecture as architectures
from .. import zoo_network
from .._files import MAX_FOREIGN_TEXT, read_json, sha256, write_json
from ..architecture import Architecture
from ..datasets.batches import Normalization
from ..engines import load_engine
from ..errors import InputError
from ..records import COMPLETE, TrialRecord
from ..results import leaderboard
from ..results.config import RunConfig
from ..results.networks import spec_of
from ..results.ranking import rank_run
from ..results.run import Run
from ..zoo_network import AnyNetwork, ZooNetwork
from . import manifest as manifests
from .card import CARD, card_of, choice_of
from .manifest import ARCHITECTURE, MANIFEST, OPTIONAL, WEIGHTS, FileSum, Manifest, manifest_of
from .writing import check_target, largest_weights, replacing, write_network


class DamagedError(InputError):
    """A file of a bundle is not the one that was exported."""


@dataclass(frozen=True)
class Bundle:
    """A bundle whose checksums have been verified."""

    path: Path
    manifest: Manifest
    network: AnyNetwork

    @property
    def architecture(self) -> Architecture:
        """Raises InputError if the network is a baseline."""
        if isinstance(self.network, ZooNetwork):
            raise InputError(
                f"{self.path}: is of the baseline {self.network.name}; this needs a candidate"
            )
        return self.network

    @property
    def weights_path(self) -> Path:
        return self.path / WEIGHTS

    @property
    def normalization(self) -> Normalization:
        preprocessing = self.manifest.preprocessing
        return Normalization(preprocessing.mean, preprocessing.std)


def choose(
    run: Run,
    config: RunConfig,
    rank: int | None = None,
    trial: int | None = None,
    say: Callable[[str], None] | None = None,
) -> TrialRecord:
    """The complete network with that rank or trial number; by default the most accurate candidate.

    Raises InputError if the choice cannot be exported; see `find`.
    """
    record = find(run, config, rank, trial, say)
    subject, state = record.subject, record.outcome.state
    if state != COMPLETE:
        raise InputError(f"{run.path}: {subject.label} ended as {state}; it has no parameters")
    return record


def find(
    run: Run,
    config: RunConfig,
    rank: int | None = None,
    trial: int | None = None,
    say: Callable[[str], None] | None = None,
) -> TrialRecord:
    """The trained network with that rank or trial number, or the best candidate.

    Ranks are those of the leaderboard, by all objectives of the run. Damaged records are reported
    to `say` and left out; without `say` they raise InputError. Raises InputError if there is none.
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
            raise InputError(f"{run.path}: has no complete candidate yet")
    return found[0]


def export(
    run: Run,
    config: RunConfig,
    record: TrialRecord,
    target: Path,
    force: bool = False,
    add_models: Callable[[Bundle], None] | None = None,
) -> None:
    """Writes the bundle of a complete network to the folder `target`, all files or none.

    `force` replaces an existing bundle. `add_models` may add the optional files to the new one. Of
    a baseline, the engine of the run tells the graph. Raises InputError if something else is there,
    or the parameters are gone.
    """
    check_target(target, force)
    weights, label = run.entry(record.subject).weights, record.subject.label
    if not os.path.lexists(weights):
        raise InputError(
            f"{weights}: is gone, so {label} cannot be exported "
            "(a search keeps the parameters of its best candidates: --keep)"
        )
    if not record.outcome.curve:
        raise InputError(
            f"{run.path}: the record of {label} lacks the learning curve, so it cannot be exported"
        )
    network = _network_of(run, config, record)
    with replacing(target) as new:
        manifest = manifest_of(config, record, write_network(new, network, weights))
        if add_models:
            add_models(Bundle(new, manifest, network))
            found = {n: FileSum(sha256(new / n)) for n in OPTIONAL if (new / n).exists()}
            manifest = replace(manifest, files={**manifest.files, **found})
        write_json(new / MANIFEST, manifest.to_json())
        choice = None
        if not record.subject.is_baseline:
            ranking = rank_run(config.request, run.records(_ignore), run.reruns(_ignore))
            choice = choice_of(record, ranking)
        card = card_of(manifest, network, record, choice)
        (new / CARD).write_text(card, encoding="utf-8")


def _network_of(run: Run, config: RunConfig, record: TrialRecord) -> AnyNetwork:
    """The description of a trained network. Raises InputError."""
    subject, outcome, facts = record.subject, record.outcome, config.data
    lacking = f"{run.path}: the record of {subject.label} lacks the "
    if not subject.is_baseline:
        if subject.architecture is None:
            raise InputError(f"{lacking}architecture, so it cannot be exported")
        return subject.architecture
    if outcome.parameters is None or outcome.macs is None:
        raise InputError(f"{lacking}parameters or MACs, so it cannot be exported")
    graph = load_engine(record.engine).graph_of(spec_of(config, run.path, subject))
    classes, shape = len(facts.classes), facts.image_shape
    return ZooNetwork(subject.name, classes, shape, outcome.parameters, outcome.macs, graph)


def _ignore(notice: str) -> None:
    """Damaged records were told of by the choice."""


def open_bundle(path: Path) -> Bundle:
    """Reads a bundle and verifies the checksums of its files.

    Raises InputError saying what was expected and what was found; DamagedError if a checksum
    differs.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such bundle (a folder that `export` wrote is expected)")
    manifest_path = path / MANIFEST
    if not os.path.lexists(manifest_path) and Run(path).config_path.exists():
        raise InputError(
            f"{path}: is a run folder, not a bundle; nas-incep export {path} DIR makes one of it"
        )
    manifest = manifests.from_json(read_json(manifest_path, regular=True), str(manifest_path))
    file = path / manifest.described_in
    _check_sum(manifest, file, MAX_FOREIGN_TEXT)
    value = read_json(file, regular=True)
    network: AnyNetwork
    if file.name == ARCHITECTURE:
        network = architectures.from_json(value, str(file))
    else:
        network = zoo_network.from_json(value, str(file))
    if network.identity != manifest.identity:
        raise InputError(
            f"{path}: the manifest is of {manifest.identity}, {file.name} of {network.identity}"
        )
    _check_sum(manifest, path / WEIGHTS, largest_weights(network))
    return Bundle(path, manifest, network)


def check_models(bundle: Bundle) -> None:
    """Verifies the checksums of the optional files. Raises InputError as `open_bundle` does."""
    for name in OPTIONAL:
        if name in bundle.manifest.files:
            # A graph takes less room than the names and shapes allowed for.
            _check_sum(bundle.manifest, bundle.path / name, 2 * largest_weights(bundle.network))


def _check_sum(manifest: Manifest, file: Path, limit: int) -> None:
    """Raises InputError unless a file of at most `limit` bytes is the one that was exported."""
    if not os.path.lexists(file):
        raise InputError(f"{file}: is missing from the bundle")
    expected, found = manifest.files[file.name].sha256, sha256(file, limit)
    if expected != found:
        raise DamagedError(
            f"{file}: damaged: its SHA-256 is {found}, the manifest expects {expected}"
        )
