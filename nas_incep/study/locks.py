"""Locks between worker processes: on one machine, or on several that share a folder."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import time
import uuid
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from .._machine import machine_name

# A holder may be waiting for a restarting database; one that holds the lock longer counts as dead.
# An NFS client may also show a link as it was up to 60 s ago, which must not look like a holder
# that has kept the lock all the time.
LOCK_GRACE_SECONDS = 90
# Optuna's own grace period for a dead holder of a journal's lock.
OPTUNA_GRACE_SECONDS = 30


class KernelLock(AbstractContextManager[None]):
    """A lock that the kernel releases when its holder is killed.

    With Optuna's lock alone, others would wait 30 s after a kill.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self) -> bool:
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class JournalLock(KernelLock):
    """The lock of a journal: the kernel's among workers, and Optuna's against other programs.

    Optuna's is a symbolic link, `study.journal.lock`. Only a holder of the kernel's lock makes one
    that leads to `study.lock`, so another such link is of a dead process and is removed at once.
    """

    def __init__(self, journal: Path) -> None:
        # A journal without a suffix would have both locks under one name.
        super().__init__(journal.with_suffix(".lock" if journal.suffix else ".workers"))
        self._link = journal.with_name(journal.name + ".lock")

    def acquire(self) -> bool:
        super().acquire()
        try:
            # Optuna takes a holder for dead if the time of what the link leads to stays the same.
            os.utime(self._descriptor)
            self._acquire_link()
        except BaseException:
            super().release()
            raise
        return True

    def release(self) -> None:
        if self._target() == self._path.name:  # not if it was taken away after 30 s
            self._link.unlink(missing_ok=True)
        super().release()

    def _acquire_link(self) -> None:
        pause, known, since = 0.001, -1.0, time.monotonic()
        while True:
            try:
                os.symlink(self._path.name, self._link)
                return
            except FileExistsError:
                pass
            except OSError as error:
                if error.errno in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                    return  # a file system without links, so no other program can have the lock
                raise
            changed = self._changed()
            if changed != known:
                known, since = changed, time.monotonic()
            is_stale = time.monotonic() - since > OPTUNA_GRACE_SECONDS
            if is_stale or self._target() == self._path.name:
                self._link.unlink(missing_ok=True)
                continue
            time.sleep(pause)
            pause = min(2 * pause, 0.1)

    def _target(self) -> str:
        try:
            return os.readlink(self._link)
        except OSError:  # there is none, or the file of Optuna's other lock
            return ""

    def _changed(self) -> float:
        try:
            return self._link.stat().st_mtime
        except OSError:
            return 0.0


def sampling_lock(
    run_folder: Path, where: Path | str, grace_seconds: float = LOCK_GRACE_SECONDS
) -> AbstractContextManager[None]:
    """The reusable lock in a run folder that a worker holds while it takes its next trial.

    With a journal, all workers are on one machine, and the kernel releases the lock of a dead
    holder. Behind a gRPC proxy they share the run folder, perhaps over NFS, and the lock of a dead
    holder on another machine is removed after `grace_seconds`. A database has a lock of its own
    (`server_lock.py`).
    """
    if isinstance(where, Path):
        return KernelLock(run_folder / "sampling.lock")
    return LinkLock(run_folder / "sampling.holder", grace_seconds)


def _is_gone(holder: str) -> bool:
    """Whether the holder of a lock was a process that this one can see, and is dead."""
    host, _, number = holder.rpartition(":")[0].rpartition(":")
    if host != machine_name():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


class LinkLock(AbstractContextManager[None]):
    """A lock that is a symbolic link, which network file systems create atomically.

    Optuna's JournalFileSymlinkLock releases any lock, even another worker's, and waits forever if
    the link's target does not exist. Here the target names the holder, and a worker removes only a
    link whose holder it has checked. Between the check and the removal, another waiter may have
    removed the link and taken the lock. Then two workers hold it for a moment, and the search may
    train one candidate too many. This needs two workers that give up on a dead holder within the
    same microseconds.
    """

    def __init__(self, path: Path, grace_seconds: float) -> None:
        self._path, self._grace_seconds = path, grace_seconds
        self._mine = ""

    def __enter__(self) -> None:
        self._mine = f"{machine_name()}:{os.getpid()}:{uuid.uuid4().hex}"
        try:
            self._acquire()
        except BaseException:
            self._remove(self._mine)
            raise

    def __exit__(self, *_: object) -> None:
        self._remove(self._mine)  # unless a waiter has given up on this holder and taken the lock

    def _acquire(self) -> None:
        pause = 0.005
        known, since = "", time.monotonic()
        while True:
            with suppress(FileExistsError):
                os.symlink(self._mine, self._path)
                return
            holder = self._holder()
            if holder == self._mine:  # NFS may send a request twice
                return
            if holder != known:
                known, since = holder, time.monotonic()
            elif time.monotonic() - since > self._grace_seconds or _is_gone(holder):
                self._remove(holder)
                continue
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, 0.5)

    def _holder(self) -> str:
        try:
            return os.readlink(self._path)
        except FileNotFoundError:
            return ""

    def _remove(self, holder: str) -> None:
        if self._holder() == holder:
            self._path.unlink(missing_ok=True)
