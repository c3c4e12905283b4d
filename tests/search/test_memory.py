"""A network too large for the memory must not spoil those that are trained after it."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import run_cli
from helpers.engines import ENGINES
from helpers.runs import results, rows

SPACE = """
format = "nas-incep-space"
version = 1
description = "one network too large for the memory, and small ones"
dataset = "digits"
blocks = 1
[parameters]
num_convs = 1
n1_1 = [8, 16, 4096]
n2_1 = [8, 16]
n2_3 = [8, 16]
n3_1 = 8
n3_5 = [8, 4096]
n4_1 = [8, 4096]
[[reference]]
blocks = [[1, 4096, 8, 8, 8, 4096, 4096]]
batch_norm = false
[[reference]]
blocks = [[1, 8, 8, 8, 8, 8, 8]]
batch_norm = false
[[reference]]
blocks = [[1, 16, 8, 8, 8, 8, 8]]
batch_norm = false
"""
OPTIONS = ("--trials", 3, "--epochs", 1, "--batch-size", 256, "--device", "cpu", "--threads", 1)
# With it MXNet and PyTorch can be loaded and small networks trained; a batch of the large ones
# takes more. Batch systems set such a limit.
LIMIT = 2500 << 20


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_follows_an_out_of_memory_has_the_figures_of_a_fresh_process(
    engine: str, tmp_path: Path
) -> None:
    space = tmp_path / "space.toml"
    space.write_text(SPACE)
    baselines = ("--baseline", "vgg11@224", "--baseline", "cifar_resnet20_v1")
    # Without the limit on memory, one on parameters spares the time for the large network.
    small = (*baselines[2:], "--max-params", 100_000)
    for name, given, options in (("limited", limit_memory, baselines), ("free", None, small)):
        done = run_cli(
            *("search", space, "--run", tmp_path / name, "--engine", engine, *OPTIONS, *options),
            preexec_fn=given,
        )
        assert done.returncode == 0, done.stderr
    states = {(row["trial"], row["name"]): row["state"] for row in rows(tmp_path / "limited")}
    assert states.pop((None, "vgg11@224")) == "out of memory"
    assert states.pop((None, "cifar_resnet20_v1")) == "complete"
    assert [states[key] for key in sorted(states)] == ["out of memory", "complete", "complete"]
    free = {row[:2]: row for row in results(tmp_path / "free")}
    for row in results(tmp_path / "limited"):
        if row[2] == "complete":
            assert row == free[row[:2]]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_search_in_one_process_ends_after_an_out_of_memory_and_goes_on(
    engine: str, tmp_path: Path
) -> None:
    space = tmp_path / "space.toml"
    space.write_text(SPACE)
    command = ("search", space, "--run", tmp_path / "run", "--engine", engine, *OPTIONS)
    command += ("--baseline", "none", "--workers", 0)
    done = run_cli(*command, preexec_fn=limit_memory)
    assert done.returncode == 3, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "nas-incep: the memory was full: the same command goes on in a new process"
    )
    done = run_cli(*command, preexec_fn=limit_memory)
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in rows(tmp_path / "run")].count("complete") == 2


# Prints the resident memory, in MB, of a training in mid-flight and after its end.
RESIDENT = """
import sys
from pathlib import Path
from nas_incep.engines import load_engine, prepare
prepare(sys.argv[1], 1, "cpu")
engine = load_engine(sys.argv[1])
from nas_incep.architecture import Architecture, Block
from nas_incep.datasets import load
from nas_incep.engines.base import Job
from nas_incep.recipe import Recipe
from nas_incep.records import CANDIDATE, Subject

def resident():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024

def train(width):
    architecture = Architecture((Block(1, *[width] * 6),) * 2, input_shape=(1, 8, 8))
    subject = Subject(CANDIDATE, 0, architecture.identity, 0, architecture)
    recipe = Recipe(epochs=1, batch_size=512)
    job = Job(subject, load("digits"), recipe, "cpu", "float32", Path(sys.argv[2]) / "checkpoint")
    with engine.start(job) as training:
        list(training.epochs(lambda images: False))
        return resident()

train(8)
print(resident(), train(96), resident())
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_worker_gives_the_memory_of_a_network_back(engine: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", RESIDENT, engine, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    before, during, after = map(int, done.stdout.split())
    assert during > before + 100
    assert after < before + (during - before) / 3
