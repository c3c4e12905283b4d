"""Locks in a run folder whose holder is in a container, or on a machine of the same name."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas_incep._machine import machine_name
from nas_incep.study.locks import LinkLock

WAIT = """
import sys
from pathlib import Path
from nas_incep.study.locks import LinkLock
print("waits", flush=True)
with LinkLock(Path(sys.argv[1]), 60):
    print("holds", flush=True)
"""


def test_a_container_with_the_hosts_name_waits_for_a_living_holder(tmp_path: Path) -> None:
    """It cannot see the holder's process, and must not take it for dead."""
    apart = ["unshare", "--pid", "--fork", "--kill-child"]
    try:
        subprocess.run([*apart, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("unshare --pid is not permitted")
    path = tmp_path / "lock"
    with LinkLock(path, 60):
        holder = os.readlink(path)
        command = [*apart, sys.executable, "-c", WAIT, str(path)]
        waiter = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert waiter.stdout and waiter.stdout.readline() == "waits\n"
        time.sleep(1)
        assert waiter.poll() is None and os.readlink(path) == holder
    try:
        assert waiter.communicate(timeout=30)[0] == "holds\n"
    finally:
        waiter.kill()


@pytest.mark.parametrize("host", [socket.gethostname(), f"{socket.gethostname()}.0123abcd.42"])
def test_a_holder_that_may_be_elsewhere_is_waited_for(host: str, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    gone = subprocess.Popen(["true"])
    gone.wait()
    os.symlink(f"{host}:{gone.pid}:0123", path)
    begun = time.monotonic()
    with LinkLock(path, 1):
        assert time.monotonic() - begun > 1
    os.symlink(f"{machine_name()}:{gone.pid}:0123", path)
    begun = time.monotonic()
    with LinkLock(path, 60):
        assert time.monotonic() - begun < 1
