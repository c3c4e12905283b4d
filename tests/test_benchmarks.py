"""The benchmarks run: what they measure here, beside other work, means nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
TINY = ("--short", "--rounds", "1", "--network", "small8", "--batches", "1")


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("training", TINY),
        ("peers", TINY),
        ("workers", TINY),
        ("steps", TINY),
        ("limits", TINY),
        ("pipeline", ("--short", "--rounds", "1", "--batches", "1")),
        ("startup", ("--short", "--rounds", "1")),
        ("overhead", ("--short", "--trials", "3")),
        ("neighbors", ("--short", "--rounds", "1")),
    ],
)
def test_a_benchmark_runs_and_writes_its_rows(
    script: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, BENCHMARKS / f"{script}.py", *arguments, "--threads", "1"],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "NAS_INCEP_BENCHMARK_RESULTS": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / f"{script}.jsonl").read_text().splitlines()]
    conditions, *measured = rows
    assert conditions["threads"] == 1
    assert "numpy" in conditions["versions"]
    assert measured
    assert all(row in map(json.loads, done.stdout.splitlines()) for row in measured)
