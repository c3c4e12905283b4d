"""The real command line, and searches that are started, watched and disturbed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas_incep.results.run import Run
from nas_incep.study.storage import open_storage

TINY_SPACE = """
format = "nas-incep-space"
version = 1
description = "tiny networks for tests"
blocks = 1
[parameters]
num_convs = 1
n1_1 = [8, 16]
n2_1 = 8
n2_3 = [8, 16]
n3_1 = 8
n3_5 = 8
n4_1 = [8, 16]
[variants]
batch_norm = [true, false]
[[reference]]
blocks = [[1, 16, 8, 16, 8, 8, 16]]
batch_norm = true
"""
Options = tuple[str, ...]  # of a command line
SEARCH = ("--epochs", "2", "--batch-size", "32", "--images-per-epoch", "320", "--device", "cpu")


def run_cli(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The real command line in a process of its own."""
    options.setdefault("env", {**os.environ, "COLUMNS": "200"})
    return subprocess.run(
        [sys.executable, "-m", "nas_incep", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


TRIALS = 7
OPTIONS = ("--baseline", "none", "--finals", "none", "--sampler", "random", "--device", "cpu")
OPTIONS += ("--epochs", "8", "--batch-size", "32", "--images-per-epoch", "320")


def command(space: Path, run: Path, *options: object) -> list[str]:
    whole = ["search", space, "--run", run, "--trials", TRIALS, *OPTIONS, *options]
    return [sys.executable, "-m", "nas_incep", *map(str, whole)]


@contextmanager
def started(arguments: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A search in the background, the lines of its standard error to be read one by one."""
    with subprocess.Popen(
        arguments,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # The tests may run in the background of a shell, where SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], pattern: str) -> str:
    """Reads a search's lines up to one that matches."""
    assert process.stderr
    seen = []
    for line in process.stderr:
        seen.append(line)
        if re.search(pattern, line):
            return line
    raise AssertionError(f"no {pattern!r} in:\n" + "".join(seen))


def last_words(process: subprocess.Popen[str], status: int) -> str:
    """What a search says from now on, until it ends with that exit status."""
    assert process.stderr
    said = process.stderr.read()
    assert process.wait(60) == status, said
    return said


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children]


def holder(process: subprocess.Popen[str], run: Path, trial: int) -> int:
    """The worker process of a search that trains a trial, as the study has it."""
    storage = open_storage(Run(run).study_path)
    study = storage.get_all_studies()[0]._study_id
    name = storage.get_all_trials(study)[trial].user_attrs["worker"]
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in workers_of(process)}
    return next(pid for pid, command in commands.items() if name in command.split("\0"))


def meddled(folder: Path, code: str, **variables: str) -> dict[str, str]:
    """An environment in which every Python process runs the code first."""
    (folder / "sitecustomize.py").write_text(code)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, **variables}


def with_helpers() -> dict[str, str]:
    """An environment in which these modules can be run."""
    path = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def killed_at(n: int, moment: str, arguments: list[str], call: str = "fsync") -> bool:
    """Runs a command that dies before or after its n-th such call; False if it ends before that."""
    command = [sys.executable, "-m", "helpers.killing", str(n), moment, call, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=with_helpers())
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


# Makes a worker, but not its supervisor, end itself at a certain call of os.fsync.
SUICIDE = """
import os, signal
if b"--supervised-as" in open("/proc/self/cmdline", "rb").read():
    left = int(os.environ["SUICIDE"])
    if left == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    fsync = os.fsync
    def counted(descriptor):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGSEGV)
        fsync(descriptor)
    os.fsync = counted
"""


def suicidal(folder: Path, fsyncs: int) -> dict[str, str]:
    """An environment in which every worker dies at its call of os.fsync of that number."""
    return meddled(folder, SUICIDE, SUICIDE=str(fsyncs))
