"""What a search shows: log lines for a file, bars for a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from helpers.commands import SEARCH, Options, run_cli


def test_plain_log_lines_have_gluoncvs_form(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    done = run_cli(
        "search",
        tiny_space,
        "--trials",
        1,
        "--run",
        tmp_path / "r",
        "--baseline",
        "none",
        *SEARCH,
        *table,
    )
    pattern = r"\[Epoch 2\] train=\d\.\d+ val=\d\.\d+ loss=\d+\.\d+ time: \d+\.\d+"
    assert re.search(pattern, done.stderr), done.stderr


def test_progress_of_all_workers_shows_in_a_terminal(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    """The live display in a pseudo-terminal: bars while it runs, one line for each trial."""
    import pty

    main, other = pty.openpty()
    command = [sys.executable, "-m", "nas_incep", "search", str(tiny_space), "--trials", "4"]
    command += [
        "--run",
        str(tmp_path / "r"),
        "--baseline",
        "none",
        *SEARCH,
        *slow_table,
        "--workers",
        "2",
    ]
    command += ["--epochs", "3"]  # long enough that both are at it at the same time
    process = subprocess.Popen(
        command, stderr=other, stdout=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm"}
    )
    os.close(other)
    shown = b""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            piece = os.read(main, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(main)
    assert process.wait(timeout=30) == 0
    text = shown.decode(errors="replace")
    assert "search" in text
    assert all(f"trial {trial} complete" in text for trial in (0, 1))
    # Each frame begins with the bar of the search; in some of them two trainings have one.
    bars = [
        set(re.findall(r"trial (\d+) (?:\x1b\[[\d;]*m)*[━╸╺]", frame))
        for frame in text.split("search ")
    ]
    assert max(map(len, bars)) == 2
