"""The tutorial's commands and programs are those that run, one after the other."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from nas_incep.results.run import Run

TEXT = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
# What a reader types: lines behind a $ in the shell, and whole Python programs.
STEPS = re.findall(r"^```(console|python)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def commands(kind: str, block: str) -> list[list[str]]:
    if kind == "python":
        return [[sys.executable, "-c", block]]
    typed = re.findall(r"^\$ nas-incep (.*)$", block.replace("\\\n", ""), re.MULTILINE)
    return [
        [sys.executable, "-m", "nas_incep", *shlex.split(line, comments=True)] for line in typed
    ]


def test_the_tutorial(tmp_path: Path) -> None:
    environment = {**os.environ, "COLUMNS": "78"}
    for kind, block in STEPS:
        typed = commands(kind, block)
        assert typed, block
        for command in typed:
            done = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
            )
            assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    run = Run(tmp_path / "first")
    assert len(run.records()) == 6
    assert len(run.reruns()) >= 3
    assert run.report_path.exists()
    assert (tmp_path / "best" / "model.onnx").exists()
    assert (tmp_path / "better" / "test_evaluations.jsonl").read_text().count("\n") == 1


def test_every_command_stands_in_a_block_that_runs() -> None:
    shown = set(re.findall(r"^\$ nas-incep (\w+)", TEXT, re.MULTILINE))
    assert shown >= {"search", "leaderboard", "finals", "report", "describe", "export", "verify"}
    assert shown >= {"predict", "retrain"}
    for _, block in re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        assert "$ nas-incep" not in block or ("console", block) in STEPS
