"""The run folder: every path and every file of a run in one place.

run.json                       the request, with versions and fingerprints
study.journal, study.lock      Optuna's study, unless it is in a database
study.journal.lock             Optuna's lock while something is written to it
study.journal.damaged          one that was damaged; the study was made again from the records
sampling.lock                  held by a worker while it takes its next trial
workers/                       one file for each live worker
logs/                          one file for each search and worker, with every traceback
trials/000007.json, .params    a candidate's record; parameters only of the best ones
baselines/NAME.json, .params   the same for a baseline
networks/NAME-symbol.json      the graph of a baseline of the user's own
finals/000007~1.json           a further training with a fresh seed, to choose the winner
confirmation/000007~1.json     one that takes no part in any choice
fidelity/000007~1.json         a longer one, to see how far the ranking can be believed
STAGE.earlier/                 such trainings that `--anew` has set aside; nothing reads them
.../000007~1.claim             which worker trains it
.../NAME.checkpoint/           the last complete epoch of a training in progress
lock                           held while a search runs
tensorboard/, mlruns/          written by --logger
report.html                    written by `nas-incep report`
*.damaged                      records that could not be read, set aside
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .._files import free_damaged_name, is_locked, read_json, write_json
from ..errors import InputError
from ..records import CONFIRMATION, FINALS, RERUNS, Subject, TrialRecord
from . import config as configs
from . import networks
from .config import RunConfig
from .paths import (
    BASELINES,
    LOGGED,
    LOGS,
    NETWORKS,
    WORKERS,
    Entry,
    baseline_entry,
    check_places,
    entry_of,
    recorded,
    trial_entry,
)

RANKING = (FINALS, CONFIRMATION)


@dataclass(frozen=True)
class Run:
    """A run folder; no other module reads or writes its files."""

    path: Path

    @property
    def config_path(self) -> Path:
        return self.path / "run.json"

    @property
    def study_path(self) -> Path:
        return self.path / "study.journal"

    @property
    def workers_path(self) -> Path:
        return self.path / WORKERS

    @property
    def logs_path(self) -> Path:
        return self.path / LOGS

    def logger_path(self, name: str) -> Path:
        return self.path / LOGGED[name]

    @property
    def report_path(self) -> Path:
        return self.path / "report.html"

    def trial(self, number: int) -> Entry:
        """The files of a candidate, by the study's number."""
        return trial_entry(self.path, number)

    def baseline(self, name: str) -> Entry:
        """The files of a baseline. Raises InputError if its name cannot be part of a file name."""
        return baseline_entry(self.path, name)

    def entry(self, subject: Subject) -> Entry:
        """The files of the trial about a network."""
        return entry_of(self.path, subject)

    def drop_parameters(self, records: Sequence[TrialRecord]) -> None:
        """Deletes the weights of networks that will not be exported."""
        if not records:
            return
        there = {path.name for path in self.path.glob("*/*.params")}
        for record in records:
            weights = self.entry(record.subject).weights
            if weights.name in there:
                with contextlib.suppress(IsADirectoryError):
                    weights.unlink(missing_ok=True)

    def sweep(self, alone: bool) -> None:
        """Removes what killed processes may have left: incomplete files, obsolete checkpoints.

        Unless this process is `alone` here, incomplete files less than a day old are kept, because
        a live worker may be writing them.
        """
        yesterday = time.time() - 24 * 3600
        for pattern in (".*.tmp", "*/.*.tmp", "*/*.checkpoint/.*.tmp"):
            for path in self.path.glob(pattern):
                # Its writer has finished meanwhile, or it is none of ours.
                with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                    if alone or path.stat().st_mtime < yesterday:
                        path.unlink()
        for path in self.path.glob("*/*.checkpoint"):
            if path.with_name(path.name[: -len(".checkpoint")] + ".json").exists():
                shutil.rmtree(path, ignore_errors=True)
        for path in self.path.glob("*/*.claim"):
            if path.with_name(path.name[: -len(".claim")] + ".json").exists():
                path.unlink(missing_ok=True)

    def drop_checkpoints(self) -> None:
        """Removes all checkpoints, when no training is left that could resume."""
        for path in self.path.glob("*/*.checkpoint"):
            shutil.rmtree(path, ignore_errors=True)

    def set_aside_damaged(self) -> list[str]:
        """Renames records that cannot be read, so that the search can continue; returns notices."""
        notices = []
        for entry in (*recorded(self.path), *recorded(self.path, *RERUNS)):
            try:
                entry.read()
            except InputError as error:
                path = entry.record_path
                aside = free_damaged_name(path)
                os.replace(path, aside)
                notices.append(f"{error}; it is set aside as {aside.name}")
        return notices

    def begin(self, config: RunConfig) -> RunConfig:
        """Creates a run, or merges the request into an existing one; its configuration.

        That of an existing run is not saved yet. Raises InputError as `merged` does.
        """
        merged = self.merged(config)
        if not self.config_path.exists():
            self.save(merged)
        return merged

    def merged(self, config: RunConfig) -> RunConfig:
        """The configuration of a run after a search with `config`; writes nothing.

        Raises InputError, listing the differences, if the folder holds another search, and if it is
        not a run folder.
        """
        self._check_kind()
        if not self.config_path.exists():
            return config
        begun = self.config()
        self.check_same(begun, config)
        return dataclasses.replace(begun, request=config.request.resuming(begun.request))

    def check_same(self, begun: RunConfig, wanted: RunConfig) -> None:
        """Raises InputError listing the differences if `begun` and `wanted` are not the same."""
        changed = begun.differences(wanted)
        if changed:
            raise InputError(
                f"{self.path} holds another search ({'; '.join(changed)}): "
                "repeat its command to resume it, or give another --run"
            )

    def save(self, config: RunConfig) -> None:
        """Writes run.json atomically."""
        write_json(self.config_path, networks.closed(config, self.path).to_json())

    def _check_kind(self) -> None:
        """Raises InputError if something other than a run is in the folder, or by its name."""
        try:
            os.fsencode(self.path.absolute()).decode("utf-8")
        except UnicodeDecodeError:
            raise InputError(f"--run {self.path}: a name in UTF-8 is expected") from None
        if self.path.exists() and not self.config_path.exists() and not self._is_new():
            raise InputError(f"{self.path}: exists and is not a run folder")

    def _is_new(self) -> bool:
        """Whether the folder holds nothing but what a killed first call may have left."""
        return self.path.is_dir() and all(
            path.name in ("lock", LOGS, NETWORKS) or path.name.startswith(".run.json.")
            for path in self.path.iterdir()
        )

    def config(self) -> RunConfig:
        """The configuration in run.json. Raises InputError if there is none or it is invalid.

        Likewise if the folder has a link where a search would write.
        """
        if not os.path.lexists(self.config_path):
            raise InputError(f"{self.path}: not a run folder (it has no run.json)")
        check_places(self.path)
        value = read_json(self.config_path, regular=True)
        config = configs.from_json(value, str(self.config_path), self._recorded_baselines())
        return networks.opened(config, self.path)

    def _recorded_baselines(self) -> tuple[str, ...]:
        return tuple(entry.stem for entry in recorded(self.path) if entry.folder.name == BASELINES)

    def records(self, say: Callable[[str], None] | None = None) -> list[TrialRecord]:
        """All records: the baselines by name, then the candidates by number.

        A damaged one raises InputError; with `say` it is reported there and left out.
        """
        return _read(recorded(self.path), say)

    def reruns(
        self, say: Callable[[str], None] | None = None, stages: Iterable[str] = RANKING
    ) -> list[TrialRecord]:
        """The records of further trainings with fresh seeds; a damaged one as in `records`.

        By default those that the ranking is made of.
        """
        return _read(recorded(self.path, *stages), say)

    def candidate_numbers(self) -> list[int]:
        """The numbers of the trials that have a record."""
        return self._numbers("json")

    def checkpoint_numbers(self) -> list[int]:
        """The numbers of the candidates whose training has begun and not ended."""
        return self._numbers("checkpoint")

    def _numbers(self, ending: str) -> list[int]:
        stems = [path.stem for path in self.path.glob(f"trials/*.{ending}")]
        return [int(stem) for stem in stems if stem.isdecimal()]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Raises InputError if the folder disappears while the block works on it."""
        try:
            yield
        except (FileNotFoundError, InputError) as error:
            if self.config_path.exists():
                raise
            raise InputError(
                f"{self.path}: the run folder was moved or deleted while it was searched; "
                "nas-incep resume with its new path goes on"
            ) from error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Locks the folder for one search while the block runs; creates it if necessary.

        Raises InputError if another process holds the lock or the folder is not a run folder.
        """
        self._check_kind()
        check_places(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / "lock", "w") as file:
            # A worker that checks whether the lock is held takes it for a moment.
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
        """Whether a `search` command is running here; workers that joined do not count."""
        try:
            with open(self.path / "lock") as file:
                return is_locked(file)
        except FileNotFoundError:
            return False


def _read(entries: Iterable[Entry], say: Callable[[str], None] | None) -> list[TrialRecord]:
    records = []
    for entry in entries:
        try:
            records.append(entry.read())
        except InputError as error:
            if say is None:
                raise
            say(f"{error}; it is left out")
    return records
