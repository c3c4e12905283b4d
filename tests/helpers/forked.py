"""Command lines whose processes are forks of one that has loaded the modules before.

Chains of kills start many processes, and most of a start is the loading of modules. A fork is a
process like any other: it is killed for good, and what it leaves is on the disk. MXNet and PyTorch
cannot be forked safely, so these command lines train nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from helpers.commands import with_helpers
from helpers.killing import kill_at

# What a search over a table loads, beyond what importing the command line does.
MODULES = ("nas_incep.cli", "nas_incep.search.tuner", "nas_incep.engines.table.engine", "optuna")


PATIENCE = 120  # seconds for a command; then SIGALRM ends it


class Forks:
    """Runs command lines, one at a time, each in a fork of the same process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def run(self, arguments: list[str]) -> None:
        """Runs a command to its end, which is success."""
        status, said = self._ended({"arguments": arguments})
        assert status == 0, said

    def killed_at(self, n: int, moment: str, arguments: list[str], call: str = "fsync") -> bool:
        """As `helpers.commands.killed_at`."""
        status, said = self._ended({"arguments": arguments, "kill": [n, moment, call]})
        assert status in (0, -signal.SIGKILL), said
        return status != 0

    def _ended(self, job: dict[str, Any]) -> tuple[int, str]:
        """The exit status of a command, negative for a signal, and what it wrote."""
        assert self.process.stdin and self.process.stdout
        print(json.dumps(job), file=self.process.stdin, flush=True)
        status, said = json.loads(self.process.stdout.readline())
        return status, said


@contextmanager
def forks(folder: Path) -> Iterator[Forks]:
    """`folder` is for what the commands write on their outputs."""
    server = [sys.executable, "-m", "helpers.forked", str(folder / "said.txt")]
    with subprocess.Popen(
        server,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=with_helpers(),
    ) as process:
        try:
            yield Forks(process)
        finally:
            process.kill()


def serve(said: Path) -> None:
    """Reads a job a line and answers with its end, until there is no more."""
    for module in MODULES:
        __import__(module)
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(job["arguments"], job.get("kill"), said)
        _, status = os.waitpid(child, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), said.read_text()]), flush=True)


def _become(arguments: list[str], kill: Optional[tuple[int, str, str]], said: Path) -> None:
    """Runs the command line in this process; its exit ends the loop of `serve`, too."""
    signal.alarm(PATIENCE)
    with said.open("w") as out, open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    if kill:
        kill_at(*kill)
    sys.argv[:] = ["nas-incep", *arguments]
    from nas_incep.cli import main

    main()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
