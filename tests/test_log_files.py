"""Log files: which are kept, and whose messages are in them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from nas_incep._logs import MAX_FILES, SEARCH, log_file


def text(folder: Path, name: str) -> str:
    return (folder / f"{name}.log").read_text()


def test_logs_in_use_outlive_any_number_of_others(tmp_path: Path) -> None:
    logs, workers = tmp_path / "logs", tmp_path / "workers"
    workers.mkdir()
    (workers / "alive").touch()
    log = logging.getLogger("nas_incep.test")
    with log_file(logs, SEARCH, workers), log_file(logs, "alive", workers):
        log.info("at first")
        for name in (SEARCH, "alive"):
            os.utime(logs / f"{name}.log", (0, 0))
        for number in range(MAX_FILES + 10):
            with log_file(logs, f"spent{number}", workers):
                log.info("in between")
        log.error("at last")
    assert "at last" in text(logs, SEARCH) and "at last" in text(logs, "alive")
    assert len(list(logs.iterdir())) <= MAX_FILES + 2
    assert "in between" in text(logs, f"spent{MAX_FILES + 9}")


def test_optunas_warnings_are_in_the_log(tmp_path: Path) -> None:
    import nas_incep.study.shared  # noqa: F401  (which keeps them from the terminal)

    with log_file(tmp_path, SEARCH, tmp_path):
        logging.getLogger("optuna.storages").warning("query failed")
    assert "query failed" in text(tmp_path, SEARCH)
