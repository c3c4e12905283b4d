"""The files of one trial in a run folder; no other module turns a trial into a path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .. import records
from .._files import check_folder, check_regular, read_json, write_json
from ..errors import InputError
from ..records import RERUNS, SEARCH, Subject, TrialRecord, check_baseline_name
from .loggers import MLFLOW, TENSORBOARD

TRIALS, BASELINES = "trials", "baselines"
WORKERS, LOGS = "workers", "logs"
NETWORKS = "networks"
LOGGED = {TENSORBOARD: "tensorboard", MLFLOW: "mlruns"}  # by the names of loggers


@dataclass(frozen=True)
class Entry:
    """The files of one training: its record, weights and checkpoint."""

    folder: Path
    stem: str

    # Not with_suffix: a baseline's name may hold a dot.
    @property
    def record_path(self) -> Path:
        return self.folder / f"{self.stem}.json"

    @property
    def weights(self) -> Path:
        return self.folder / f"{self.stem}.params"

    @property
    def checkpoint(self) -> Path:
        """The folder with the last complete epoch of a training in progress."""
        return self.folder / f"{self.stem}.checkpoint"

    @property
    def claim(self) -> Path:
        """The file that says which worker trains it, if it is a rerun."""
        return self.folder / f"{self.stem}.claim"

    def read(self) -> TrialRecord:
        """Reads the record. Raises InputError if it is damaged or belongs to another trial."""
        path = self.record_path
        record = records.from_json(read_json(path, regular=True), str(path))
        if entry_of(self.folder.parent, record.subject) != self:
            raise InputError(f"{path}: is the record of {record.subject.label}")
        return record

    def write(self, record: TrialRecord) -> None:
        """Writes the record atomically."""
        assert entry_of(self.folder.parent, record.subject) == self
        write_json(self.record_path, record.to_json())


def trial_entry(run: Path, number: int) -> Entry:
    """The files of a candidate, by the study's number."""
    return Entry(run / TRIALS, f"{number:06d}")


def baseline_entry(run: Path, name: str) -> Entry:
    """The files of a baseline. Raises InputError if its name cannot be part of a file name."""
    check_baseline_name(name)
    return Entry(run / BASELINES, name)


def entry_of(run: Path, subject: Subject) -> Entry:
    """The files of the trial about a network, or of a rerun."""
    if subject.trial is None:
        entry = baseline_entry(run, subject.name)
    else:
        entry = trial_entry(run, subject.trial)
    if subject.stage == SEARCH:
        return entry
    return Entry(run / subject.stage, f"{entry.stem}~{subject.repeat}")


def recorded(run: Path, *names: str) -> list[Entry]:
    """The entries with a record, readable or not, in folders of these names.

    By default those of the search: baselines by name, then trials by number. Raises OSError if a
    folder cannot be listed, which is not the same as no records.
    """
    return [
        Entry(folder, name[: -len(".json")])
        for folder in (run / name for name in names or (BASELINES, TRIALS))
        if folder.is_dir()
        for name in sorted(os.listdir(folder))
        if name.endswith(".json") and not name.startswith(".")
    ]


def check_places(run: Path) -> None:
    """Raises InputError if a search would write through a link or wait for a FIFO in a run folder.

    A run folder may come from someone else, whose links lead elsewhere.
    """
    names = (TRIALS, BASELINES, *RERUNS, WORKERS, LOGS, NETWORKS, *LOGGED.values())
    folders = [run / name for name in names]
    checkpoints = (path for folder in folders for path in folder.glob("*.checkpoint"))
    # A file beside them is harmless: a desktop may have put it there.
    logged = (p for p in (run / LOGGED[TENSORBOARD]).glob("*") if p.is_dir() or p.is_symlink())
    for folder in (*folders, *checkpoints, *logged):
        check_folder(folder)
    # A journal that is no file is set aside by the study that opens it.
    files = ("run.json", "lock", "sampling.lock", "study.lock", f"{LOGGED[MLFLOW]}/mlflow.db")
    opened = (path for name in (WORKERS, LOGS, NETWORKS) for path in (run / name).glob("*"))
    for file in (*(run / name for name in files), *opened):
        check_regular(file)
