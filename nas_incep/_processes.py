"""Starting commands of this package as processes of their own."""

from __future__ import annotations

import signal
import sys


def own_command(*arguments: object) -> list[str]:
    """The command line of a `nas-incep` command that sees the modules that this process sees.

    `python -m` would look into the working directory first, and take a user's `random.py` there
    for the standard library's.
    """
    start = f"import sys; sys.path[:] = {sys.path!r}; from nas_incep.cli import main; main()"
    return [sys.executable, "-c", start, *map(str, arguments)]


def signal_name(status: int) -> str:
    """The signal that ended a process, by its return code; else `exit status N`.

    A shell gives 128 more than the number of the signal.
    """
    number = -status if status < 0 else status - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit status {status}"
