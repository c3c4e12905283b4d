"""A GPU that falls over costs its worker, not the search: a new process goes on, for a while."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from helpers.commands import SEARCH, TRIALS, Options, command, meddled, run_cli
from helpers.engines import ENGINES
from helpers.runs import agree, assert_as_recorded, counted, rows, trained

from nas_incep.results.run import Run

# In the training of each network the third epoch raises what PyTorch says of a GPU that is lost:
# in all the first LOSSES times, which the files of FOLDER count.
FAULT = r"""
import importlib.util, os, sys
WHAT = "CUDA error: an illegal memory access was encountered"
MESSAGE = WHAT + '''
CUDA kernel errors might be asynchronously reported at some other API call
For debugging consider passing CUDA_LAUNCH_BLOCKING=1
Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.
'''

def losses():
    return len(os.listdir(os.environ["FOLDER"]))

def is_lost(epoch):
    if epoch != 2 or losses() >= int(os.environ["LOSSES"]):
        return False
    if os.environ.get("ONLY_ON", sys.argv[0]) not in sys.argv:
        return False
    open(os.path.join(os.environ["FOLDER"], str(losses())), "x").close()
    return True

def real(module):
    run_epoch = module.Epochs.run_epoch
    def run(self, should_stop):
        if is_lost(self.epoch):
            if "mxnet" in sys.modules:
                import mxnet
                raise mxnet.base.MXNetError("Traceback (most recent call last):\n" + WHAT)
            raise RuntimeError(MESSAGE)
        return run_epoch(self, should_stop)
    module.Epochs.run_epoch = run

def recorded(module):
    epochs = module.TableTraining.epochs
    def run(self, should_stop):
        from nas_incep.errors import DeviceLost
        for point in epochs(self, should_stop):
            yield point
            if is_lost(point.epoch):
                raise DeviceLost("cpu was lost: " + WHAT)
    module.TableTraining.epochs = run
    resolve = module.TableEngine.resolve
    def resolved(self, device):
        if losses() and device == os.environ.get("ONLY_ON"):
            raise module.InputError(device + " cannot be used: it has fallen off the bus")
        return resolve(self, device)
    module.TableEngine.resolve = resolved

CHANGES = {"nas_incep.engines.epochs": real, "nas_incep.engines.table.engine": recorded}

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        change = CHANGES.pop(name, None)
        if change is None:
            return None
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (execute(module), change(module))
        return spec

sys.meta_path.insert(0, Finder)
"""
LOST = "cpu was lost: CUDA error: an illegal memory access was encountered"


def failing(folder: Path, losses: int, **variables: str) -> dict[str, str]:
    """An environment in which so many trainings lose their device."""
    counted = folder / "losses"
    counted.mkdir(exist_ok=True)
    return meddled(folder, FAULT, FOLDER=str(counted), LOSSES=str(losses), **variables)


def search(
    arguments: list[str], folder: Path, losses: int, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = failing(folder, losses, **variables)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, env=environment)
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr
    return done


@pytest.mark.parametrize("engine", ENGINES)
def test_a_worker_whose_device_is_lost_is_replaced_and_its_trial_goes_on(
    engine: str, tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = ("--engine", engine, "--workers", 1, "--trials", 1, "--epochs", 3)
    done = search(command(tiny_space, run, *options), tmp_path, 1)
    assert done.returncode == 0, done.stderr
    assert f"trial 0: {LOST}; it is tried again as trial 1" in done.stderr
    assert "trial 1 [Epoch 1]" not in done.stderr
    lost, again = sorted(Run(run).records(), key=lambda record: record.subject.trial)
    assert (lost.outcome.state, lost.outcome.reason, lost.counts) == ("killed", LOST, False)
    assert (again.outcome.state, again.subject.retry_of) == ("complete", 0)
    assert (again.subject.name, again.subject.seed) == (lost.subject.name, lost.subject.seed)
    assert len(again.outcome.curve) == 3


def test_the_figures_are_those_of_a_search_whose_device_holds(
    undisturbed: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = search(command(tiny_space, run, *table, "--workers", 2), tmp_path, 2)
    assert done.returncode == 0, done.stderr
    assert len(counted(run)) == TRIALS
    assert agree(run, undisturbed)
    assert_as_recorded(run)


def test_a_device_that_is_lost_again_and_again_ends_the_search_in_a_sentence(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = command(tiny_space, run, *table, "--workers", 1)
    done = search(arguments, tmp_path, 1000)
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert last == f"nas-incep: 4 workers in a row lost their device: {LOST}"
    assert f"{LOST} a second time; it is given up" in done.stderr
    assert search(arguments, tmp_path, 0).returncode == 0
    assert len(counted(run)) == TRIALS
    assert_as_recorded(run)


def test_a_device_that_does_not_come_back_leaves_the_search_to_the_others(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = (*slow_table, "--workers", 2, "--device", "cpu:0,cpu:1", "--epochs", 4)
    done = search(command(tiny_space, run, *options), tmp_path, 1, ONLY_ON="cpu:1")
    assert done.returncode == 0, done.stderr
    said = "cpu:1 cannot be used: it has fallen off the bus; the search goes on without this slot"
    assert said in done.stderr
    assert len(trained(run)) == TRIALS


def test_a_search_in_one_process_ends_and_the_same_command_goes_on(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = command(tiny_space, run, *table, "--workers", 0)
    for losses in (1, 2):
        done = search(arguments, tmp_path, losses)
        assert done.returncode == 3
        last = done.stderr.splitlines()[-1]
        assert last == f"nas-incep: {LOST}: the same command goes on in a new process"
    assert search(arguments, tmp_path, 2).returncode == 0
    killed = [record.counts for record in Run(run).records() if record.outcome.state == "killed"]
    assert sorted(killed) == [False, True]
    assert len(counted(run)) == TRIALS


def test_a_baseline_that_costs_the_device_twice_is_recorded_and_left(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = [*SEARCH, *table, "--trials", 0, "--baseline", "cifar_resnet20_v1", "--workers", 1]
    done = run_cli("search", tiny_space, "--run", run, *options, env=failing(tmp_path, 2))
    assert done.returncode == 0, done.stderr
    assert f"baseline cifar_resnet20_v1: {LOST}; it is tried again" in done.stderr
    assert [row["state"] for row in rows(run)] == ["killed"]
    assert run_cli("search", tiny_space, "--run", run, *options).returncode == 0
    assert [row["state"] for row in rows(run)] == ["complete"]


def test_a_training_of_the_finals_is_tried_again_once(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    options = [*SEARCH, *table, "--trials", 6, "--baseline", "none", "--finals", "none"]
    assert run_cli("search", tiny_space, "--run", run, *options).returncode == 0
    arguments = ("finals", run, "--finals", 0.5, "--workers", 1)
    done = run_cli(*arguments, env=failing(tmp_path, 2))
    assert done.returncode == 0, done.stderr
    assert "its worker died; it is tried again" in done.stderr
    assert "its worker died; it is given up" in done.stderr
    states = [record.outcome.state for record in Run(run).reruns()]
    assert states.count("killed") == 1 and "complete" in states
