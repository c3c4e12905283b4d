"""Log files of a run: one for the search, one for each worker, in the run folder's `logs/`.

They hold what a display has no room for: with what a process computes, and the traceback of every
trial that failed and of every fault.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

# A log file and its predecessor; the oldest files of a folder go when there are more.
MAX_BYTES = 1_000_000
MAX_FILES = 40

_FORM = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


@contextmanager
def log_file(folder: Path, name: str) -> Iterator[None]:
    """Writes what the package logs to `folder/name.log` while the block runs.

    An exception that leaves the block is logged with its traceback, unless it is a way to end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _drop_oldest(folder)
    handler = RotatingFileHandler(
        folder / f"{name}.log", maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", delay=True
    )
    handler.setFormatter(_FORM)
    logger = logging.getLogger("nas_incep")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    except Exception:
        logger.exception("the process ends by an exception")
        raise
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


def show_on_stderr() -> None:
    """Shows warnings and tracebacks on standard error, too: what --debug asks for."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_FORM)
    logging.getLogger("nas_incep").addHandler(handler)


def place_of(error: BaseException) -> str:
    """Where in the code an exception arose: `mxnet/gluon/block.py:707 in __call__`."""
    error = error.__cause__ or error
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    return f"{_short(last.filename)}:{last.lineno} in {last.name}"


def _short(filename: str) -> str:
    """The path below the folder of installed packages or of the checkout."""
    parts = Path(filename).parts
    for start in ("site-packages", "dist-packages"):
        if start in parts:
            return "/".join(parts[parts.index(start) + 1 :])
    return "/".join(parts[-3:])


def _drop_oldest(folder: Path) -> None:
    def age(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    for path in sorted(folder.glob("*.log*"), key=age)[: -MAX_FILES + 1]:
        with suppress(FileNotFoundError):
            path.unlink()
