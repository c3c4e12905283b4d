"""Locks between worker processes: of one machine, and of many that share a folder."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import time
import uuid
from contextlib import AbstractContextManager, suppress
from pathlib import Path

# A holder may be waiting for a restarting database; only one that waits longer is held to be dead.
# An NFS client may also show a link as it was up to 60 s ago, and must not take that for a holder
# who has never moved.
LOCK_GRACE_SECONDS = 90


class KernelLock(AbstractContextManager[None]):
    """A lock that the kernel releases when its holder is killed.

    A journal takes it in place of Optuna's own, for which others wait 30 s after a kill.
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


def sampling_lock(
    run_folder: Path, where: Path | str, grace_seconds: float = LOCK_GRACE_SECONDS
) -> AbstractContextManager[None]:
    """A lock, usable again and again, to hold while one worker takes its next trial.

    With a journal, where all workers are on one machine, the kernel frees it when its holder dies.
    With a URL they share a folder, perhaps over NFS; a dead holder is found out after
    `grace_seconds`.
    """
    if isinstance(where, Path):
        return KernelLock(run_folder / "sampling.lock")
    return LinkLock(run_folder / "sampling.holder", grace_seconds)


def _is_gone(holder: str) -> bool:
    """Whether a lock's holder was a process of this machine that is dead."""
    host, _, number = holder.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


class LinkLock(AbstractContextManager[None]):
    """A lock that is a symbolic link, which network file systems make for one of many alone.

    Optuna's JournalFileSymlinkLock releases whatever lock is there, be it another's, and waits for
    ever where the link's target does not exist. This link's target names its holder, so each
    removes a link that it knows. Between that look and the removal another waiter may have done the
    same and taken the lock: then two hold it for a moment, and a search may train a candidate more
    than was asked for. It takes two workers that lose patience with a dead holder within the same
    microseconds.
    """

    def __init__(self, path: Path, grace_seconds: float) -> None:
        self._path, self._grace_seconds = path, grace_seconds
        self._mine = ""

    def __enter__(self) -> None:
        self._mine = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}"
        try:
            self._acquire()
        except BaseException:
            self._remove(self._mine)
            raise

    def __exit__(self, *_: object) -> None:
        self._remove(self._mine)  # unless a waiter has lost patience, and it is another's

    def _acquire(self) -> None:
        pause = 0.005
        known, since = "", time.monotonic()
        while True:
            with suppress(FileExistsError):
                os.symlink(self._mine, self._path)
                return
            holder = self._holder()
            if holder == self._mine:  # over NFS, a request that was sent twice
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
