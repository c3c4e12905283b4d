"""The benchmarks run: what they measure here, beside other work, means nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
WITH_TORCH = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed"
)
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
        ("sizes", ("--short",)),
        pytest.param(
            *("gpu", ("--short", "--device", "cpu", "--parts", "steps,candidates")),
            marks=WITH_TORCH,
        ),
        pytest.param("equality", ("--short",), marks=WITH_TORCH),
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


@WITH_TORCH
def test_the_parts_on_a_gpu_are_planned_to_end_within_nine_minutes() -> None:
    command = [sys.executable, BENCHMARKS / "gpu.py", "--plan"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *parts, whole = map(json.loads, done.stdout.splitlines())
    assert whole["part"] == "all"
    assert whole["estimated_seconds"] == sum(row["estimated_seconds"] for row in parts) <= 540
    names = [row["part"] for row in parts]
    assert names == ["equality", "tests", "steps", "workers", "candidates", "search"]
    done = subprocess.run([*command, "--parts", "steps,all"], capture_output=True, text=True)
    assert done.returncode == 1 and "--parts: all: one of equality, tests" in done.stderr


def test_a_set_of_extras_is_measured_by_what_it_needs(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    pytest.importorskip("onnxruntime")
    rows = sizes(tmp_path, "--extras", "dashboard,onnx", "--extras", "onnx")
    both, one = rows
    assert 0 < one["megabytes"] < both["megabytes"]
    assert "onnxruntime" in one["largest"]
    assert one["packages"] < both["packages"]
    assert one["without_unused"] == one["megabytes"]  # GluonCV's part is nothing of it


def test_a_set_that_is_not_installed_has_no_size(tmp_path: Path) -> None:
    # The two MXNets overwrite each other, so that an environment has one of them.
    (row,) = sizes(tmp_path, "--extras", "cpu,cu112")
    assert {"mxnet", "mxnet-cu112"} & set(row["not_installed"])
    assert "megabytes" not in row


def sizes(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "sizes.py", "--short", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "NAS_INCEP_BENCHMARK_RESULTS": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()[1:]]
