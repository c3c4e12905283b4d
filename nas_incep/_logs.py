"""Log files of a run: one for the search, one for each worker, in the run folder's `logs/`.

They hold what a display has no room for: the environment of each process, and the traceback of
every failed trial and of every error in the program.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

# The size at which a log file is rotated, and the number of files in a folder; older ones go.
MAX_BYTES = 1_000_000
MAX_FILES = 40

SEARCH = "search"  # the log of the process that searches or supervises

_FORM = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


# Whose messages are kept: Optuna's warnings tell of its storages.
_LOGGERS = ("nas_incep", "optuna")


class _LogFile(RotatingFileHandler):
    """A log file; where it cannot be written, because the disk is full, the log is lost alone."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def log_file(folder: Path, name: str, living: Path) -> Iterator[None]:
    """Writes what the package logs to `folder/name.log` while the block runs.

    `living` is a folder with a file for each process whose log is in use. The oldest other logs are
    deleted when there are too many.

    An Exception that leaves the block is logged with its traceback; KeyboardInterrupt and
    SystemExit are not.
    """
    folder.mkdir(exist_ok=True)
    _drop_oldest(folder, living)
    handler = _LogFile(
        folder / f"{name}.log", maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", delay=True
    )
    handler.setFormatter(_FORM)
    logger = logging.getLogger("nas_incep")
    for source in _LOGGERS:
        logging.getLogger(source).addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    except Exception:
        logger.exception("the process ends with an exception")
        raise
    finally:
        logger.setLevel(level)
        for source in _LOGGERS:
            logging.getLogger(source).removeHandler(handler)
        handler.close()


def show_on_stderr() -> None:
    """Also shows warnings and tracebacks on standard error, for --debug."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_FORM)
    for source in _LOGGERS:
        logging.getLogger(source).addHandler(handler)


def place_of(error: BaseException) -> str:
    """Where in the code an exception was raised: `mxnet/gluon/block.py:707 in __call__`."""
    error = error.__cause__ or error
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    return f"{_short(last.filename)}:{last.lineno} in {last.name}"


def _short(filename: str) -> str:
    """The path relative to the folder of installed packages; otherwise its last three parts."""
    parts = Path(filename).parts
    for start in ("site-packages", "dist-packages"):
        if start in parts:
            return "/".join(parts[parts.index(start) + 1 :])
    return "/".join(parts[-3:])


def _drop_oldest(folder: Path, living: Path) -> None:
    def age(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def is_spent(path: Path) -> bool:
        owner = path.name.partition(".log")[0]
        return owner != SEARCH and not (living / owner).exists()

    spent = sorted(filter(is_spent, folder.glob("*.log*")), key=age)
    for path in spent[: -MAX_FILES + 1]:
        with suppress(FileNotFoundError):
            path.unlink()
