"""What a run or a bundle says about a trained network: all that another training of it needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..architecture import Architecture
from ..datasets import ImageForm, canonical_dataset, is_own
from ..errors import InputError
from ..recipe import Recipe
from ..results.run import Run
from .bundle import choose, open_bundle
from .manifest import MANIFEST, Origin, Source


@dataclass(frozen=True)
class Original:
    """A trained network, and how it was trained."""

    path: Path  # of the run or the bundle
    architecture: Architecture
    recipe: Recipe
    engine: str
    trial: Origin
    data: Source
    data_dir: Path | None  # the folder of the data's files, as far as it is known
    form: ImageForm | None  # into which one's own images are brought
    weights: Path  # its parameters, which a run may no longer have
    epochs: int  # of its training, with those before it where that started from parameters


def original_of(
    path: Path,
    rank: int | None = None,
    trial: int | None = None,
    say: Callable[[str], None] | None = None,
) -> Original:
    """The network of a bundle, or that of a run with a rank or trial number, by default the best.

    `say` is told of damaged records, as by `bundle.choose`. Raises InputError if there is none.
    """
    if os.path.lexists(path / MANIFEST):
        if rank is not None or trial is not None:
            option = "--rank" if rank is not None else "--trial"
            raise InputError(f"{option}: {path} is a bundle, which has one network")
        return _of_bundle(path)
    run = Run(path)
    if not os.path.lexists(run.config_path):
        raise InputError(f"{path}: a run or a bundle is expected (no run.json, no {MANIFEST})")
    return _of_run(run, rank, trial, say)


def _of_bundle(path: Path) -> Original:
    bundle = open_bundle(path)
    said = bundle.manifest
    own = is_own(canonical_dataset(said.data.name))
    return Original(
        path,
        bundle.architecture,
        said.recipe,
        said.engine,
        said.trial,
        said.data,
        None,
        ImageForm.of(said.preprocessing.input_shape) if own else None,
        bundle.weights_path,
        said.all_epochs,
    )


def _of_run(
    run: Run, rank: int | None, trial: int | None, say: Callable[[str], None] | None
) -> Original:
    config = run.config()
    record = choose(run, config, rank, trial, say)
    subject, facts = record.subject, config.data
    if subject.architecture is None:
        raise InputError(f"{run.path}: {subject.label}: only candidates are trained again")
    return Original(
        run.path,
        subject.architecture,
        record.recipe,
        config.engine,
        Origin(subject.trial, subject.seed, config.request.seed),
        Source(config.request.dataset, facts.fingerprint, facts.validation_size, facts.official),
        config.request.data_dir,
        config.request.image_form,
        run.entry(subject).weights,
        record.epochs,
    )
