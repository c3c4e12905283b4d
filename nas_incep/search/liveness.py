"""Which workers are alive: each holds a lock that the kernel releases when the worker dies.

Each worker has a file in the run folder's `workers/`. On a file system that shares locks between
machines, the locks cover workers on other machines, too. A database uses its heartbeat instead.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from .._files import is_locked, naming
from .._machine import machine_name
from ..errors import InputError

SUPERVISED = "supervised"


def new_name() -> str:
    """A worker name that is unique across machines."""
    return f"{machine_name()}-{os.getpid()}-{secrets.token_hex(4)}"


def host_of(name: str) -> str:
    """The machine of a worker, as `machine_name` tells it; empty for a name that no worker has."""
    return name.rsplit("-", 2)[0]


@contextmanager
def present(
    folder: Path, name: str, supervised: bool, lock: AbstractContextManager[Any]
) -> Iterator[None]:
    """Marks the worker `name` as alive while the block runs.

    `lock` is the sampling lock: whoever holds it knows that no worker joins, and so may remove
    files that no worker can be writing.
    """
    folder.mkdir(exist_ok=True)
    hidden, path = folder / f".{name}.tmp", folder / name
    with ExitStack() as stack:
        with lock:
            file = stack.enter_context(open(hidden, "w", encoding="utf-8"))
            # Other processes must not see the file before it is locked.
            fcntl.flock(file, fcntl.LOCK_EX)
            with naming(path, hidden):
                file.write(SUPERVISED if supervised else "")
                file.flush()
                os.replace(hidden, path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_dead(folder: Path, name: str, supervisor_lives: bool) -> bool:
    """Whether a worker has died and nobody else handles the trial that it left.

    A living supervisor knows how its workers died and handles their trials itself. A name that no
    worker has is a dead one's.
    """
    if not name or "/" in name:
        return True
    try:
        with open(folder / name, encoding="utf-8") as file:
            return not is_locked(file) and not (supervisor_lives and file.read() == SUPERVISED)
    except FileNotFoundError:
        return True


def wait_for_orphans(folder: Path, seconds: float) -> None:
    """Waits for workers whose supervisor was killed to notice it and exit.

    Then removes the files of all dead workers. Raises InputError if they have not exited after
    `seconds`.
    """
    deadline = time.monotonic() + seconds
    for path in folder.glob("[!.]*"):
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            while is_locked(file) and file.read() == SUPERVISED:
                if time.monotonic() > deadline:
                    raise InputError(f"{path}: this worker of an earlier search has not ended yet")
                time.sleep(0.05)
                file.seek(0)
            if not is_locked(file):
                path.unlink()


def is_anyone_present(folder: Path) -> bool:
    """Whether a worker may be alive; if not, none is until the sampling lock is released."""
    return any(folder.glob("[!.]*"))
