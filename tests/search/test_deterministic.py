"""`--deterministic`: a part of a run's identity, and what it sets for each engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, run_cli
from helpers.runs import results

from nas_incep.results.run import Run


def test_it_is_recorded_and_a_resumed_search_has_it_too(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    search = ("search", tiny_space, "--run", run, "--trials", 1, "--baseline", "none", *SEARCH)
    done = run_cli(*search, *table, "--deterministic")
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("--deterministic")]
    assert said == [
        "--deterministic changes nothing on a CPU: equal trainings have equal figures there"
    ]
    assert Run(run).config().request.deterministic is True
    assert json.loads((run / "run.json").read_text())["request"]["deterministic"] is True
    other = run_cli(*search, *table)
    assert other.returncode == 2
    assert "deterministic was True, now False" in other.stderr


@pytest.mark.parametrize(
    ("engine", "variable", "value"),
    [
        ("gluon", "MXNET_ENFORCE_DETERMINISM", "1"),
        ("torch", "CUBLAS_WORKSPACE_CONFIG", ":4096:8"),
    ],
)
def test_what_a_framework_reads_at_its_start_is_set_before(
    engine: str, variable: str, value: str
) -> None:
    for deterministic in (True, False):
        code = (
            "import os; from nas_incep.engines import prepare; "
            f"prepare({engine!r}, 1, 'gpu:0', {deterministic}); "
            f"print(os.environ.get({variable!r}, ''))"
        )
        own = {name: text for name, text in os.environ.items() if name != variable}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=own)
        assert done.stdout.strip() == (value if deterministic else "")


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["torch"])
def test_equal_searches_on_a_gpu_have_equal_figures(
    name: str, tiny_space: Path, tmp_path: Path
) -> None:
    search = ("search", tiny_space, "--engine", name, "--trials", 2, "--seed", 1, *SEARCH)
    search += ("--baseline", "cifar_resnet20_v1", "--device", "gpu:0", "--workers", 1)
    for run in ("one", "other"):
        done = run_cli(*search, "--run", tmp_path / run, "--deterministic")
        assert done.returncode == 0, done.stderr
    assert results(tmp_path / "one") == results(tmp_path / "other")
    assert {state for _, _, state, *_ in results(tmp_path / "one")} == {"complete"}
