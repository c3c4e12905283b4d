"""The run folder: every path and every file of a run in one place.

run.json                       what was asked for, with versions and fingerprints
study.journal, study.lock      Optuna's study, where it is not in a database
sampling.lock                  held by the worker that takes its next trial
workers/                       one file for each worker that is alive
logs/                          one file for each search and worker, with every traceback
trials/000007.json, .params    a candidate's record; parameters of the best ones alone
baselines/NAME.json, .params   the same for a baseline
.../NAME.checkpoint/           the last whole epoch of the training in flight
lock                           held while a search runs
*.damaged                      what could not be read, set aside
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import records
from .._files import is_locked, read_json, write_json
from ..errors import InputError
from ..records import TrialRecord

FORMAT = "nas-incep-run"
VERSION = 3


@dataclass(frozen=True)
class Run:
    """A run folder. Its files are read and written here alone."""

    path: Path

    @property
    def config_path(self) -> Path:
        return self.path / "run.json"

    @property
    def study_path(self) -> Path:
        return self.path / "study.journal"

    @property
    def workers_path(self) -> Path:
        return self.path / "workers"

    @property
    def logs_path(self) -> Path:
        return self.path / "logs"

    def candidate_path(self, trial: int) -> Path:
        return self.path / "trials" / f"{trial:06d}.json"

    def baseline_path(self, name: str) -> Path:
        return self.path / "baselines" / f"{name}.json"

    def record_path(self, kind: str, trial: int | None, name: str) -> Path:
        if kind == "baseline" or trial is None:
            return self.baseline_path(name)
        return self.candidate_path(trial)

    def parameters_path(self, kind: str, trial: int | None, name: str) -> Path:
        # Not with_suffix: a baseline's name may hold a dot.
        path = self.record_path(kind, trial, name)
        return path.with_name(path.name[: -len(".json")] + ".params")

    def checkpoint_path(self, kind: str, trial: int | None, name: str) -> Path:
        path = self.record_path(kind, trial, name)
        return path.with_name(path.name[: -len(".json")] + ".checkpoint")

    def drop_parameters(self, records: list[TrialRecord]) -> None:
        """Gives back the room of networks that are not to be exported."""
        there = {path.name for path in self.path.glob("*/*.params")}
        for record in records:
            path = self.parameters_path(record.kind, record.trial, record.name)
            if path.name in there:
                path.unlink(missing_ok=True)

    def sweep(self, alone: bool) -> None:
        """Removes what killed processes may have left: half-written files, spent checkpoints.

        Where this process may not be `alone` here, a young file can be a living worker's.
        """
        yesterday = time.time() - 24 * 3600
        for pattern in (".*.tmp", "*/.*.tmp", "*/*.checkpoint/.*.tmp"):
            for path in self.path.glob(pattern):
                with contextlib.suppress(FileNotFoundError):  # its writer has finished meanwhile
                    if alone or path.stat().st_mtime < yesterday:
                        path.unlink()
        for path in self.path.glob("*/*.checkpoint"):
            if path.with_name(path.name[: -len(".checkpoint")] + ".json").exists():
                shutil.rmtree(path, ignore_errors=True)

    def set_aside_damaged(self) -> list[str]:
        """Renames records that cannot be read, so that the search goes on; says which."""
        notices = []
        for path in self._record_paths():
            try:
                read_record(path)
            except InputError as error:
                aside = path.with_name(path.name + ".damaged")
                os.replace(path, aside)
                notices.append(f"{error}; it is set aside as {aside.name}")
        return notices

    def open(self, config: dict[str, Any]) -> None:
        """Begins a run, or goes on with one of the same configuration.

        Raises InputError listing the differences if the folder holds another search.
        """
        if self.config_path.exists():
            self.check(config["search"])
            return
        write_json(self.config_path, {"format": FORMAT, "version": VERSION, **config})

    def keep(self, **values: Any) -> None:
        """Adds values to run.json, in place of earlier ones of the same name.

        `request` is what this call asks for, `precision` what all networks are trained in, `called`
        when this call began: it comes last, for from then on there is all that a worker needs.
        """
        write_json(self.config_path, {**self.config(), **values})

    def check(self, search: dict[str, Any]) -> None:
        """Raises InputError listing the differences if the folder holds another search."""
        changed = _differences(self.config()["search"], search)
        if changed:
            raise InputError(
                f"{self.path} holds another search ({'; '.join(changed)}): "
                "repeat its command to go on, or give another --run"
            )

    def _is_new(self) -> bool:
        """Whether the folder holds nothing but what a killed first write may have left."""
        return self.path.is_dir() and all(
            path.name in ("lock", "logs") or path.name.startswith(".run.json.")
            for path in self.path.iterdir()
        )

    def config(self) -> dict[str, Any]:
        """What the run was asked to do. Raises InputError where the folder is none."""
        if not self.config_path.exists():
            raise InputError(f"{self.path}: not a run folder (it has no run.json)")
        config = read_json(self.config_path)
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise InputError(f"{self.config_path}: not a run's configuration")
        if config.get("version") != VERSION or not isinstance(config.get("search"), dict):
            raise InputError(
                f"{self.config_path}: version is {config.get('version')!r}, expected {VERSION}"
            )
        return config

    def records(self) -> list[TrialRecord]:
        """All records: the baselines by name, then the candidates by number."""
        return [read_record(path) for path in self._record_paths()]

    def candidate_numbers(self) -> list[int]:
        """The numbers of the trials that have a record."""
        stems = [path.stem for path in self.path.glob("trials/*.json")]
        return [int(stem) for stem in stems if stem.isdecimal()]

    def _record_paths(self) -> list[Path]:
        return sorted(self.path.glob("baselines/*.json")) + sorted(self.path.glob("trials/*.json"))

    def write(self, record: TrialRecord) -> None:
        write_json(self.record_path(record.kind, record.trial, record.name), record.to_json())

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder, new or old, for one search.

        Raises InputError if another process has it, or it is no run folder.
        """
        if self.path.exists() and not self.config_path.exists() and not self._is_new():
            raise InputError(f"{self.path}: exists and is not a run folder")
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / "lock", "w") as file:
            # A worker may look at this very moment whether it is held.
            for _ in range(20):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.05)
            else:
                raise InputError(f"{self.path}: another process is searching here")
            yield

    def is_locked(self) -> bool:
        """Whether a search is at work here, workers that joined it apart."""
        try:
            with open(self.path / "lock") as file:
                return is_locked(file)
        except FileNotFoundError:
            return False


class Candidates:
    """The records of a run's candidates, each file of which is read once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._known: dict[int, TrialRecord] = {}

    def refresh(self, numbers: Iterable[int]) -> list[TrialRecord]:
        """Those of the trials of these numbers that have one, and all known before, by number.

        They are opened by name: a network file system may show an old list of the folder.
        """
        for number in numbers:
            if number not in self._known:
                with contextlib.suppress(FileNotFoundError):
                    self._known[number] = self._read(number)
        return [self._known[number] for number in sorted(self._known)]

    def _read(self, number: int) -> TrialRecord:
        path = self._run.candidate_path(number)
        path.stat()
        return read_record(path)


def read_record(path: Path) -> TrialRecord:
    return records.from_json(read_json(path), str(path))


def versions() -> dict[str, str]:
    """The versions that can decide a result, by name; nothing is imported for it."""
    found = {"python": platform.python_version()}
    for name in ("nas-incep", "mxnet", "mxnet-cu112", "gluoncv", "numpy", "optuna"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _differences(old: Any, new: Any, place: str = "") -> list[str]:
    """Where two JSON values differ, as phrases."""
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        return [
            phrase
            for key in keys
            for phrase in _differences(old.get(key), new.get(key), f"{place}.{key}".strip("."))
        ]
    return [f"{place} was {old!r}, now {new!r}"]
