"""The whole way from a search to a loaded network, where neither MXNet nor GluonCV is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from helpers.commands import SEARCH, meddled, run_cli
from helpers.engines import WITHOUT_MXNET

BLOCKED = """
import importlib.metadata
for name in ("mxnet", "gluoncv"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(name + " can be imported")
names = {str(found.metadata["Name"]) for found in importlib.metadata.distributions()}
assert "nas-incep" in names and not {"mxnet", "mxnet-cu112", "gluoncv"} & names
"""
LOADED = """
import sys
import torch
import nas_incep
network = nas_incep.load(sys.argv[1], engine="torch")
print(tuple(network(torch.zeros(3, 1, 8, 8)).shape))
"""


def test_search_export_and_load_need_neither_mxnet_nor_gluoncv(
    tiny_space: Path, tmp_path: Path
) -> None:
    environment = meddled(tmp_path, WITHOUT_MXNET)
    run, best = tmp_path / "run", tmp_path / "best"

    def cli(*arguments: object) -> str:
        done = run_cli(*arguments, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(code: str, *arguments: object) -> str:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    python(BLOCKED)
    options = ("--trials", 2, "--baseline", "cifar_resnet20_v1", "--workers", 1)
    cli("search", tiny_space, "--run", run, *options, *SEARCH)
    rows = json.loads(cli("leaderboard", run, "--format", "json"))
    assert sorted(row["kind"] for row in rows) == ["baseline", "candidate", "candidate"]
    assert {row["state"] for row in rows} == {"complete"}
    cli("export", run, best)
    assert " by torch, " in cli("verify", best)
    found = json.loads(cli("evaluate", best, "--format", "json"))
    assert (found["engine"], found["images"]) == ("torch", 300)
    assert found["accuracy"] == max(r["val_accuracy"] for r in rows if r["kind"] == "candidate")
    assert python(LOADED, best).strip() == "(3, 10)"
