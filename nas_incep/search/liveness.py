"""Which workers are alive on this machine: each holds a lock that the kernel frees at its death.

One file a worker in the run folder's `workers/`. On a file system that carries locks between
machines it tells of those on other machines, too; a database's own heartbeat does not need it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._files import is_locked
from ..errors import InputError

SUPERVISED = "supervised"


def new_name() -> str:
    """A name for a worker that no other has, on any machine."""
    return f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"


@contextmanager
def present(folder: Path, name: str, supervised: bool) -> Iterator[None]:
    """The worker of that name counts as alive while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    hidden, path = folder / f".{name}.tmp", folder / name
    with open(hidden, "w", encoding="utf-8") as file:
        # Nobody must see it before it is locked.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(SUPERVISED if supervised else "")
        file.flush()
        os.replace(hidden, path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_dead(folder: Path, name: str, supervisor_lives: bool) -> bool:
    """Whether a worker is gone and nobody else sees to the trial that it left.

    A supervisor that is alive knows better how its workers died, and sees to their trials itself.
    """
    try:
        with open(folder / name, encoding="utf-8") as file:
            return not is_locked(file) and not (supervisor_lives and file.read() == SUPERVISED)
    except FileNotFoundError:
        return True


def wait_for_orphans(folder: Path, seconds: float) -> bool:
    """Waits for workers whose supervisor was killed: they notice, and end by themselves.

    Then the files of all dead ones are removed. Whether no worker is alive any more. Raises
    InputError where they do not end.
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
    return not any(folder.glob("[!.]*"))
