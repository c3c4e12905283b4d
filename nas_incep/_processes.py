"""Running commands of this package as separate processes."""

from __future__ import annotations

import signal
import subprocess
import sys

from .errors import InputError

PREFIX = "nas-incep: "  # of the sentence in which a command reports why it failed


def last_sentence(complaints: str) -> str:
    """The last line of a command's standard error, which tells why it failed."""
    return complaints.strip().rpartition("\n")[2].removeprefix(PREFIX)


def own_command(*arguments: object) -> list[str]:
    """The command line of a `nas-incep` command that imports modules from where this process does.

    `python -m` would look in the working directory first, and import a user's `random.py` instead
    of the standard library's.
    """
    start = f"import sys; sys.path[:] = {sys.path!r}; from nas_incep.cli import main; main()"
    debug = ["--debug"] if "--debug" in sys.argv else []
    return [sys.executable, "-c", start, *map(str, arguments), *debug]


def answer_of(*arguments: object, about: str) -> str:
    """What a `nas-incep` command prints, run in another process.

    Raises InputError with the command's own sentence, or else one that begins with `about`.
    """
    done = subprocess.run(own_command(*arguments), capture_output=True, text=True)
    if not done.returncode:
        return done.stdout
    last = done.stderr.strip().rpartition("\n")[2]
    if last.startswith(PREFIX):
        raise InputError(last.removeprefix(PREFIX))
    how = signal_name(done.returncode) if done.returncode < 0 else f"status {done.returncode}"
    raise InputError(f"{about}: the process that writes its graph ended by {how}")


def signal_name(status: int) -> str:
    """The name of the signal that ended a process with this return code, or `exit status N`.

    A shell reports a signal as 128 plus its number.
    """
    number = -status if status < 0 else status - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit status {status}"
