"""The run folder: every path and every file of a run in one place.

run.json                       what was asked for, with versions and fingerprints
study.journal, study.lock      Optuna's study
trials/000007.json, .params    a candidate's record; parameters of the best ones alone
baselines/NAME.json, .params   the same for a baseline
.../NAME.checkpoint/           the last whole epoch of the training in flight
lock                           held while a search runs
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import records
from .errors import InputError
from .files import read_json, write_json
from .records import TrialRecord

FORMAT = "nas-incep-run"
VERSION = 1


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
        for record in records:
            self.parameters_path(record.kind, record.trial, record.name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Removes what a killed process may have left: half-written files, spent checkpoints."""
        for path in self.path.rglob(".*.tmp"):
            path.unlink()
        for path in self.path.glob("*/*.checkpoint"):
            if path.with_name(path.name[: -len(".checkpoint")] + ".json").exists():
                shutil.rmtree(path)

    def open(self, config: dict[str, Any]) -> None:
        """Begins a run, or goes on with one of the same configuration.

        Raises InputError listing the differences if the folder holds another search.
        """
        if not self.config_path.exists():
            if self.path.exists() and not self._is_new():
                raise InputError(f"{self.path}: exists and is not a run folder")
            write_json(self.config_path, {"format": FORMAT, "version": VERSION, **config})
            return
        old = self.config()
        changed = _differences(old["search"], config["search"])
        if changed:
            raise InputError(
                f"{self.path} holds another search ({'; '.join(changed)}): "
                "repeat its command to go on, or give another --run"
            )

    def _is_new(self) -> bool:
        """Whether the folder holds nothing but what a killed first write may have left."""
        return self.path.is_dir() and all(
            path.name.startswith(".run.json.") for path in self.path.iterdir()
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
        paths = sorted(self.path.glob("baselines/*.json")) + sorted(self.path.glob("trials/*.json"))
        return [read_record(path) for path in paths]

    def write(self, record: TrialRecord) -> None:
        write_json(self.record_path(record.kind, record.trial, record.name), record.to_json())

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder for one search. Raises InputError if another process has it."""
        with open(self.path / "lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"{self.path}: another process is searching here") from None
            yield


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
