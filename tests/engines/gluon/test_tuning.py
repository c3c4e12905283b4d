"""The settings of a process that trains: made for its device, before MXNet is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from nas_incep._machine import installed_mxnets

# What it prints last is a JSON value.
CODE = """
import json, os, resource, sys
from nas_incep.engines.gluon.tuning import tune
tune({threads}, {device!r})
from nas_incep.engines.gluon.runtime import mx, threads
{then}
"""
SETTINGS = (
    "print(json.dumps([threads(), os.environ.get('MXNET_ENGINE_TYPE'), "
    "os.environ.get('GOMP_SPINCOUNT')]))"
)


def run(then: str, device: str = "cpu", threads: int | None = None, **environment: str) -> Any:
    own = {k: v for k, v in os.environ.items() if not k.startswith(("OMP", "GOMP", "MXNET"))}
    code = CODE.format(device=device, threads=threads, then=then)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**own, **environment},
    )
    assert done.stderr == ""  # MXNet's line on its engine among others
    return json.loads(done.stdout.splitlines()[-1])


def test_a_process_for_the_cpu_computes_at_once_and_with_its_threads() -> None:
    assert run(SETTINGS, threads=1) == [1, "NaiveEngine", "10000"]


@pytest.mark.skipif(installed_mxnets() != ("mxnet",), reason="of the CPU's MXNet alone")
def test_without_a_gpu_auto_is_the_cpu() -> None:
    assert run(SETTINGS, "auto")[1:] == ["NaiveEngine", "10000"]


def test_a_process_for_a_gpu_keeps_the_engine_that_computes_behind_pythons_back() -> None:
    assert run(SETTINGS, "gpu:0")[1:] == [None, None]


def test_workers_on_both_kinds_inherit_nothing_that_slows_the_gpus() -> None:
    assert run(SETTINGS, "cpu,gpu:0")[1:] == [None, None]
    assert run(SETTINGS, "cpu:0,cpu:1")[1:] == ["NaiveEngine", "10000"]


def test_the_users_own_settings_win() -> None:
    engine = "ThreadedEnginePerDevice"
    found = run(SETTINGS, MXNET_ENGINE_TYPE=engine, GOMP_SPINCOUNT="7")
    assert found[1:] == [engine, "7"]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_big_arrays_stay_with_the_process() -> None:
    # 64 MB are 16,384 pages of 4 kB, which the kernel would hand out, and clear, every time. The
    # first few arrays may each come to lie in a place of their own.
    then = """
def faults():
    mx.nd.ones((16, 1024, 1024)).wait_to_read()
    mx.nd.waitall()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    before = faults()
for _ in range(5):
    after = faults()
print(json.dumps(after - before))
"""
    assert run(then) < 1000
