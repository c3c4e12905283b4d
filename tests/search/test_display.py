"""What a search shows: log lines for a file, bars for a terminal."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, run_cli
from helpers.records import record
from rich.console import Console

from nas_incep.records import EpochResult
from nas_incep.search.display import LiveDisplay
from nas_incep.search.tally import Tally


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
    # The counts stay: how many of how many, the best, the speed, and each training's epoch.
    assert re.search(r"4/4 · best 0\.\d{3} \(trial \d\) .*· \d\S* images/s", text)
    assert re.search(r"epoch [12]/3 · loss \d\.\d{3} · val 0\.\d{4}", text)


def test_the_counts_of_a_search() -> None:
    seconds = [0.0]
    tally = Tally(lambda: seconds[0])
    tally.begin(6, [record(0, "complete", 0.91)])
    assert tally.headline() == "1/6 · best 0.910 (trial 0)"
    for one in (record(3, "complete", 0.956), record(4, "complete", 0.8), record(5, "pruned", 0.5),
                record(6, "over budget"), record(None, "complete", 0.99)):  # fmt: skip
        tally.add(one)
    tally.add_images(150_000)
    seconds[0] = 100.0
    assert tally.headline() == (
        "4/6 · best 0.956 (trial 3) · 1 pruned · 1 over budget · 1.5k images/s · 1 min 07 s left"
    )
    tally.add(record(7, "complete", 0.1))
    tally.add(record(8, "complete", 0.1))
    assert "left" not in tally.headline()


def test_quiet_shows_the_result_alone_and_verbose_each_epoch(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    command = ("search", tiny_space, "--trials", 2, "--baseline", "none", *SEARCH, *table)
    done = run_cli(*command, "--run", tmp_path / "quiet", "--quiet", "--engine", table[1])
    assert done.returncode == 0, done.stderr
    assert "Epoch" not in done.stderr and "trial" not in done.stderr
    assert "candidates: 2 complete" in done.stdout
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    for verbose in (False, True):
        with LiveDisplay(console, verbose) as display:
            display.start("trial 0", 2, 320)
            display.epoch("trial 0", record(0, "complete", 0.5).outcome.curve[0])
        assert isinstance(console.file, io.StringIO)
        assert ("[Epoch 1] train=" in console.file.getvalue()) == verbose


@pytest.mark.parametrize("columns", [80, 120])
def test_long_names_leave_room_for_bars_and_figures(columns: int) -> None:
    out = io.StringIO()
    display = LiveDisplay(Console(file=out, width=columns, force_terminal=True, no_color=True))
    name = "inception3@75:optimizer=adam,lr=0.001"
    with display:
        display.begin(20, [])
        for label in (f"baseline {name}", "fidelity 1 of trial 12"):
            display.start(label, 100, 320)
            display.epoch(label, EpochResult(9, 2.25, 0.5, 2.0, 0.1234, 320, 1.0, 0.1))
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).replace("\r", "").splitlines()
    baseline, fidelity = last[-2:]
    for line in (baseline, fidelity):
        assert re.search("[━╸╺].* epoch 9/100 · loss 2.250 · val 0.1234 0:00:0", line), line
    assert fidelity.startswith("fidelity 1 of trial 12 ")
    assert (name in baseline) == (columns == 120)
