"""The command line, killed at a call of a function of `os`.

    python -m helpers.killing N before|after FUNCTION ARGUMENTS...

Every write that counts calls fsync: a line of the journal, a record, a checkpoint, a parameter
file. Run as a script, this module changes `os` before the package is imported; `helpers.forked`
does so afterwards, so no module may keep such a function from its import.
"""

from __future__ import annotations

import os
import pathlib
import signal
import sys
from typing import Any


def kill_at(n: int, moment: str, name: str) -> None:
    """Kills this process before or after its n-th call of `os.name` from now on."""
    function, calls = getattr(os, name), 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == n and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return function(*arguments, **options)
        finally:
            if calls == n:
                os.kill(os.getpid(), signal.SIGKILL)

    setattr(os, name, counted)
    # Python 3.9's paths keep the functions of os as they were at import.
    accessor = getattr(pathlib, "_NormalAccessor", None)
    if hasattr(accessor, name):
        setattr(accessor, name, staticmethod(counted))


if __name__ == "__main__":
    _, n, moment, name, *rest = sys.argv
    kill_at(int(n), moment, name)
    sys.argv[1:] = rest
    from nas_incep.cli import main

    main()
