"""Retraining: a network is trained again, with fresh seeds, and becomes a bundle.

The work stands beside the bundle, in NAME.retraining, until the bundle is written:

retraining.json               what was asked for
retraining/000007~1.json      the record of a seed that is done
retraining/000007~1.params    the parameters of the first seed
.../000007~1.checkpoint/      the last complete epoch of the training in progress
lock                          held while a process works here
"""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np

from .._files import check_folder, check_regular, read_json, sha256, write_json
from .._formats import read, unwrap
from .._machine import FLOAT32, versions
from ..datasets import Dataset, Images
from ..datasets.batches import epoch_images
from ..engines.base import Engine, Job, NetworkFailed
from ..engines.weights import read_weights
from ..errors import InputError, SearchFailed
from ..recipe import Recipe, derive_seed
from ..records import CANDIDATE, COMPLETE, RETRAINING, Outcome, Subject, TrialRecord, now
from ..results.config import DataFacts, changes_of
from ..results.paths import Entry, entry_of
from .card import CARD, card_of
from .manifest import (
    BOTH,
    MANIFEST,
    TRAIN,
    Manifest,
    Retraining,
    SeedResult,
    StartedFrom,
    manifest_on,
)
from .original import Original
from .writing import check_target, largest_weights, replacing, write_network

if TYPE_CHECKING:
    from ..search.display import Display

FORMAT = "nas-incep-retraining"
VERSION = 1
# Where a training starts: from fresh initial values, or from what is trained already.
SCRATCH, PARAMETERS = "scratch", "parameters"


@dataclass(frozen=True)
class Request:
    """What is trained, and how; equal requests resume one another, with any number of seeds."""

    identity: str
    first_seed: int
    data_fingerprint: str
    trained_on: str  # TRAIN or BOTH
    recipe: Recipe
    engine: str
    precision: str = FLOAT32
    deterministic: bool = False  # equal figures on a GPU, too
    started_from: Optional[StartedFrom] = None  # None: fresh initial values


def request_of(
    original: Original,
    recipe: Recipe,
    engine: str,
    trained_on: str,
    precision: str,
    deterministic: bool = False,
    start: str = SCRATCH,
) -> Request:
    """The request to train a network again with a recipe, from SCRATCH or from its PARAMETERS.

    Raises InputError if it cannot start from these.
    """
    return Request(
        identity=original.architecture.identity,
        first_seed=_seed(original, 1),
        data_fingerprint=original.data.fingerprint,
        trained_on=trained_on,
        recipe=recipe,
        engine=engine,
        precision=precision,
        deterministic=deterministic,
        started_from=_started_from(original, trained_on) if start == PARAMETERS else None,
    )


def _started_from(original: Original, trained_on: str) -> StartedFrom:
    """What a training from the parameters of a network starts from. Raises InputError."""
    weights, label = original.weights, f"--start {PARAMETERS}"
    if not os.path.lexists(weights):
        raise InputError(
            f"{label}: {weights} is gone: a run keeps the parameters of its best candidates "
            f"(--keep); --start {SCRATCH} needs none"
        )
    if original.data.trained_on == BOTH != trained_on:
        raise InputError(
            f"{label}: those of {original.path} have seen the validation images, so an accuracy "
            f"on these would flatter: --train-on {BOTH} says so"
        )
    read_weights(original.architecture, weights)
    digest = sha256(weights, largest_weights(original.architecture))
    return StartedFrom(digest, original.epochs)


def _seed(original: Original, repeat: int) -> int:
    """A seed that neither the search nor an earlier retraining of the network has used."""
    return derive_seed(original.trial.seed, RETRAINING, original.architecture.identity, repeat)


@dataclass(frozen=True)
class Retrainer:
    """The trainings of one network, in this process."""

    original: Original
    request: Request
    dataset: Dataset
    engine: Engine
    device: str  # as `Engine.resolve` returns it
    display: Display

    def retrain(self, seeds: int, target: Path, force: bool = False) -> Manifest:
        """Trains with that many seeds, or goes on with them, and writes the bundle `target`.

        `force` replaces a bundle that is there. Raises InputError for what the user can fix, and
        SearchFailed if a training fails, because a mean without it would flatter.
        """
        check_target(target, force)
        self.engine.check_precision(self.request.precision, self.device)
        work = target.with_name(f"{target.name}.retraining")
        with _locked(work):
            _begin(work, self.request)
            dataset = _with_parts(self.dataset, self.request.trained_on)
            subjects = [self._subject(repeat) for repeat in range(1, seeds + 1)]
            records = [self._finished(work, subject, dataset) for subject in subjects]
            with replacing(target) as new:
                weights = entry_of(work, subjects[0]).weights
                sums = write_network(new, self.original.architecture, weights)
                manifest = self._manifest(records, sums)
                write_json(new / MANIFEST, manifest.to_json())
                card = card_of(manifest, self.original.architecture, records[0], None)
                (new / CARD).write_text(card, encoding="utf-8")
            shutil.rmtree(work)
        return manifest

    def _subject(self, repeat: int) -> Subject:
        return Subject(
            kind=CANDIDATE,
            trial=self.original.trial.number,
            name=self.original.architecture.identity,
            seed=_seed(self.original, repeat),
            architecture=self.original.architecture,
            stage=RETRAINING,
            repeat=repeat,
        )

    def _finished(self, work: Path, subject: Subject, dataset: Dataset) -> TrialRecord:
        """The record of a seed, which is trained unless an earlier call has done so."""
        entry = entry_of(work, subject)
        if entry.record_path.exists():
            return entry.read()
        started = time.perf_counter()
        outcome = self._train(entry, subject, dataset)
        record = TrialRecord(
            subject=subject,
            outcome=outcome,
            engine=self.request.engine,
            recipe=self.request.recipe,
            data_fingerprint=self.request.data_fingerprint,
            environment={
                "device": self.device,
                "threads": self.engine.threads(),
                "precision": self.request.precision,
                "versions": versions(),
            },
            finished=now(),
            seconds=time.perf_counter() - started,
        )
        entry.write(record)
        shutil.rmtree(entry.checkpoint, ignore_errors=True)
        self.display.end(record)
        return record

    def _train(self, entry: Entry, subject: Subject, dataset: Dataset) -> Outcome:
        """Trains with one seed, and keeps the parameters of the first. Raises SearchFailed."""
        recipe, label = self.request.recipe, subject.label
        job = Job(
            subject,
            dataset,
            recipe,
            self.device,
            self.request.precision,
            entry.checkpoint,
            deterministic=self.request.deterministic,
            start=self.original.weights if self.request.started_from else None,
        )
        images = epoch_images(len(dataset.train.labels), recipe.batch_size, recipe.images_per_epoch)
        self.display.start(label, recipe.epochs, images)

        def show(done: int) -> bool:
            self.display.images(label, done)
            return False

        try:
            with self.engine.start(job) as training:
                for point in training.epochs(show):
                    self.display.epoch(label, point)
                if subject.repeat == 1:
                    training.save(entry.weights)
                return Outcome(
                    COMPLETE,
                    curve=tuple(training.curve),
                    parameters=training.parameters,
                    macs=training.macs,
                )
        except NetworkFailed as failure:
            self.display.leave(label)
            raise SearchFailed(f"{label} {failure.state}: {failure.reason}") from failure

    def _manifest(self, records: list[TrialRecord], sums: dict[str, str]) -> Manifest:
        """The manifest of the first seed's network, with what all seeds say about it."""
        original, is_seen = self.original, self.request.trained_on == BOTH
        facts = DataFacts.of(self.dataset)
        plain = manifest_on(original.data.name, facts, original.trial.search_seed, records[0], sums)
        lasts = [(record.subject.seed, record.outcome.curve[-1]) for record in records]
        return dataclasses.replace(
            plain,
            data=dataclasses.replace(plain.data, trained_on=self.request.trained_on),
            accuracy=dataclasses.replace(plain.accuracy, validation_seen_in_training=is_seen),
            retraining=Retraining.of(
                [SeedResult(seed, p.val_accuracy, p.train_accuracy) for seed, p in lasts],
                self.request.started_from,
            ),
        )


def _with_parts(dataset: Dataset, trained_on: str) -> Dataset:
    """The data set with the images to train on.

    The normalization stays that of the train part, so the network gets the same input as before.
    """
    if trained_on == TRAIN:
        return dataset
    parts = dataset.train, dataset.validation
    both = Images(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )
    return dataclasses.replace(dataset, train=both)


def _begin(work: Path, request: Request) -> None:
    """Writes what was asked for. Raises InputError if the folder holds another retraining."""
    path = work / "retraining.json"
    if not path.exists():
        write_json(path, {"format": FORMAT, "version": VERSION, **asdict(request)})
        return
    source = str(path)
    value = unwrap(read_json(path, regular=True), FORMAT, (VERSION,), source)
    begun = read(value, Request, source)
    changed = [
        f"{place} was {old!r}, now {new!r}"
        for place, old, new in changes_of(asdict(begun), asdict(request))
    ]
    if changed:
        raise InputError(
            f"{work} holds another retraining ({'; '.join(changed)}): repeat its command to resume "
            "it, or remove the folder"
        )


@contextmanager
def _locked(work: Path) -> Iterator[None]:
    """Creates the folder and locks it. Raises InputError if another process works there."""
    for folder in (work, work / RETRAINING):
        check_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
    check_regular(work / "lock")
    with open(work / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{work}: another process is retraining here") from None
        yield
