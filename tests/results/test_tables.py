"""The ranking in a terminal: a line for each network, numbers whole, sorted and cut on request."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import Options, command, run_cli, started, wait_for
from helpers.records import changed, record
from rich.console import Console

from nas_incep.cli.ranking import SORTABLE
from nas_incep.errors import InputError
from nas_incep.results import leaderboard
from nas_incep.results.tables import COLUMNS, ESSENTIAL, FURTHER, sort_rows, to_table

LONG = "inception3@75:optimizer=adam,lr=0.001,schedule=constant,initializer=normal"


def some_rows() -> list[dict[str, Any]]:
    """A baseline with a long name, and candidates in several states with large costs."""
    baseline = record(None, "complete", 0.5, 0.9123)
    subject = dataclasses.replace(baseline.subject, name=LONG)
    records = [dataclasses.replace(baseline, subject=subject)]
    records += [changed(record(n, "complete", 0.5, 0.8 - n / 100), parameters=21_800_000 + n,
                        macs=2_840_000_000 - n) for n in range(3)]  # fmt: skip
    records += [record(3, "out of memory"), record(4, "pruned", 0.7)]
    return leaderboard.rows(records)


def printed(rows: list[Any], width: int | None, terminal: int = 10_000) -> list[str]:
    console = Console(width=width or terminal, file=io.StringIO())
    with console.capture() as capture:
        console.print(to_table(rows, width))
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200])
def test_each_network_has_one_line_that_fits_and_whole_numbers(width: int) -> None:
    rows = some_rows()
    lines = printed(rows, width)
    assert len(lines) == 1 + len(rows)
    assert max(map(len, lines)) <= width
    for row, line in zip(rows, lines[1:]):
        assert row["state"] in line
        assert leaderboard.short_number(row["macs"]) in line.split()
        if row["val_accuracy"] is not None:
            assert f"{row['val_accuracy']:.4f}" in line.split()


def test_more_columns_come_in_as_there_is_room() -> None:
    rows = some_rows()
    headings = [printed(rows, width)[0].split() for width in (80, 140, 250)]
    assert headings[0] == ["rank", "name", "accuracy", "params", "MACs", "state"]
    assert set(headings[0]) < set(headings[1]) < set(headings[2])
    assert "blocks" in headings[2] and "blocks" not in headings[1]
    assert printed(rows, None)[0] == printed(rows, 500)[0]
    assert LONG in printed(rows, None)[1]
    assert "inception3@..." in "".join(printed(rows, 60))


def test_errors_and_possible_ranks_are_shown_where_there_are_some() -> None:
    rows = some_rows()
    assert "ranks" not in printed(rows, 250)[0]
    rows[0].update(mean_accuracy=0.9, standard_error=0.0123, rank_low=1, rank_high=3)
    rows[1].update(mean_accuracy=0.8, standard_error=None, rank_low=2, rank_high=2)
    lines = printed(rows, 120)
    assert "0.9000 ± 0.0123" in lines[1] and " 1-3" in lines[1]
    assert "0.8000" in lines[2] and "±" not in lines[2]
    assert "ranks" in lines[0].split()


def test_baselines_the_best_and_states_are_told_apart_by_color() -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(to_table(some_rows(), 80))
    lines = capture.get().splitlines()
    assert "\x1b[1;36m" in lines[1]  # a baseline, and the best
    assert "\x1b[32mcomplete" in lines[2] and "\x1b[36m" not in lines[2]
    assert any("\x1b[31mout of memory" in line for line in lines)
    assert any("\x1b[33mpruned" in line for line in lines)


def test_rows_are_sorted_best_first_and_cut() -> None:
    rows = some_rows()
    assert [row["rank"] for row in sort_rows(rows, None, 2)] == [1, 2]
    by_macs = sort_rows(rows, "macs", None)
    assert [row["macs"] for row in by_macs] == sorted(row["macs"] for row in rows)
    assert sort_rows(rows, "accuracy", 1)[0]["val_accuracy"] == 0.9123
    assert sort_rows(rows, "accuracy", None)[-1]["state"] == "out of memory"  # it has none
    with pytest.raises(InputError, match="--sort speed!: one of rank, front, name, accuracy"):
        sort_rows(rows, "speed!", None)


def test_the_command_knows_the_columns(table_run: Path) -> None:
    assert tuple(COLUMNS) == SORTABLE
    assert set(COLUMNS) == {*ESSENTIAL, *FURTHER}
    options = ("--sort", "PARAMS", "--top", 2)
    rows = json.loads(run_cli("leaderboard", table_run, *options, "--format", "json").stdout)
    assert len(rows) == 2 and rows[0]["parameters"] <= rows[1]["parameters"]
    lines = run_cli("leaderboard", table_run, *options, "--format", "csv").stdout.splitlines()
    assert len(lines) == 3
    wide = run_cli("leaderboard", table_run, "--wide").stdout
    assert "blocks" in wide and "img/s" in wide
    done = run_cli("leaderboard", table_run, "--watch", "--format", "csv")
    assert (done.returncode, done.stderr) == (2, "nas-incep: --watch: shows a table, not csv\n")


def test_a_run_in_flight_is_watched_to_its_end(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    main, other = pty.openpty()
    watch = [sys.executable, "-m", "nas_incep", "leaderboard", str(run), "--watch"]
    options = ("--workers", 0, "--trials", 3, "--epochs", 12, *slow_table)
    with started(command(tiny_space, run, *options)) as process:
        wait_for(process, r"trial 0 complete")
        # On a busy machine the search would end before the other command has started.
        process.send_signal(signal.SIGSTOP)
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
        with subprocess.Popen(watch, stdout=other, stderr=other, env=environment) as watching:
            os.close(other)
            shown = b""
            while piece := _read(main):
                shown += piece
                if re.search(rb"candidates: [12] complete", shown):
                    process.send_signal(signal.SIGCONT)
            assert watching.wait(60) == 0
        process.communicate(timeout=60)
    text = shown.decode()
    assert re.search(r"trial [12]: epoch \d+ of 12, val 0\.\d{4}\r?\n", text)
    seen = re.findall(r"candidates: (\d) complete", text)
    assert seen == sorted(seen) and seen[0] < seen[-1] == "3"


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""
