"""What `auto` measures: a network that the search may train, on every way that works."""

from __future__ import annotations

import dataclasses
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import run_cli
from helpers.records import a_config
from rich.console import Console

from nas_incep import datasets as data
from nas_incep.architecture import Block
from nas_incep.datasets import dataset_info
from nas_incep.engines import load_engine
from nas_incep.engines.base import Job
from nas_incep.engines.epochs import images_per_second
from nas_incep.errors import InputError, WorkerFault
from nas_incep.recipe import Recipe
from nas_incep.records import Subject
from nas_incep.results.request import SearchRequest
from nas_incep.results.run import Run
from nas_incep.search import autotune as automatic
from nas_incep.search.display import Display
from nas_incep.search.slots import Means, measured_slots, slots_of
from nas_incep.search.supervisor import Slot
from nas_incep.spaces.reader import read_space, with_limits


def test_the_example_is_a_network_that_the_search_may_train() -> None:
    space, info = read_space("nin_cifar"), dataset_info("cifar10")
    first = automatic.example(space, info)
    assert list(map(list, first.blocks)) == space.references[0]["blocks"]
    # The next reference, or else a random network.
    for name, limit in (("nin_cifar", first.macs - 1), ("nin_small", 8_000_000)):
        space = with_limits(read_space(name), {"max_macs": limit})
        assert automatic.example(space, info).macs <= limit
    with pytest.raises(InputError, match=r"^space nin_cifar: none of .* within the limits"):
        automatic.example(with_limits(read_space("nin_cifar"), {"max_macs": 1}), info)


def test_measuring_cannot_diverge() -> None:
    digits = data.load("digits")
    architecture = dataclasses.replace(
        automatic.example(read_space("quick"), digits.info), blocks=(Block(1, 8, 8, 8, 8, 8, 8),)
    )
    recipe = Recipe(batch_size=32, learning_rate=1e9)
    subject = Subject("candidate", 0, architecture.identity, 0, architecture)
    job = Job(subject, digits, recipe, "cpu", "float32", Path("none"))
    assert load_engine("gluon").images_per_second(job, 0.1, int) > 0


def test_a_way_that_fails_is_not_chosen(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic, "SECONDS", 0.2)
    works, fails = [Slot("cpu", 1, ())], [Slot("gpu:99", 1, ())] * 2
    said = io.StringIO()
    display = Display(Console(file=said))
    run = Run(finished_run)
    measure = automatic.measurement(run, "float32")
    assert automatic.best_slots({1: works, 2: fails}, measure, display) == works
    assert said.getvalue().startswith("2 cannot be measured: ")
    assert "gpu:99" in said.getvalue().splitlines()[0]
    with pytest.raises(InputError, match="none of these could be measured"):
        automatic.best_slots({2: fails, 3: fails}, measure, display)


def means(*devices: str, threads: int | None = 8) -> Means:
    return Means(workers="auto", devices=devices, threads=threads)


def request_of(**changes: Any) -> SearchRequest:
    return a_config(**{"trials": 50, "baselines": (), **changes}).request


def test_each_gpu_gets_one_worker_then_two_then_four() -> None:
    plan = measured_slots(means("gpu:0", "gpu:1"), request_of(), gpus=2)
    assert list(plan) == [2, 4, 8]
    for slots in plan.values():
        each = Counter(slot.device for slot in slots)
        assert set(each) == {"gpu:0", "gpu:1"} and len(set(each.values())) == 1
    assert [slots[0].threads for slots in plan.values()] == [4, 2, 1]
    # By default all GPUs that work, and the baselines are divided.
    plan = measured_slots(means("auto"), request_of(baselines=("a", "b")), gpus=1)
    assert {size: {slot.device for slot in slots} for size, slots in plan.items()} == {
        1: {"gpu:0"},
        2: {"gpu:0"},
        4: {"gpu:0"},
    }
    assert [slot.baselines for slot in plan[2]] == [("a",), ("b",)]
    assert list(measured_slots(means("gpu"), request_of(), gpus=1)) == [1, 2, 4]


@pytest.mark.parametrize(
    ("devices", "changes", "gpus", "sizes"),
    [
        (("gpu:0",), {"trials": 3}, 1, [1, 2]),  # no more workers than trainings
        (("gpu:0", "gpu:1"), {"trials": 1}, 2, [2]),
        (("gpu:0", "gpu:1"), {"latency": True}, 2, [2]),  # latencies have a GPU to themselves
        (("auto",), {}, 0, [1, 2, 4, 8]),
        (("cpu",), {}, 2, [1, 2, 4, 8]),
        (("cpu:0", "cpu:1"), {}, 0, [2]),
        (("cpu", "gpu:0"), {}, 1, [2]),  # devices that differ have a worker each
    ],
)
def test_what_is_measured(
    devices: tuple[str, ...], changes: dict[str, Any], gpus: int, sizes: list[int]
) -> None:
    assert list(measured_slots(means(*devices), request_of(**changes), gpus)) == sizes


@pytest.mark.parametrize(
    ("speeds", "measured", "chosen"),
    [
        ({1: 100.0, 2: 150.0, 4: 140.0}, [1, 2, 4], 2),
        ({1: 100.0, 2: 150.0, 4: 200.0}, [1, 2, 4], 4),
        ({1: 100.0, 2: 90.0, 4: 500.0}, [1, 2], 1),  # slower than the one before: enough
        ({1: 100.0, 2: 150.0, 4: None}, [1, 2, 4], 2),
        ({1: 100.0, 2: None, 4: 500.0}, [1, 2], 1),  # too little memory for two, so for four
        ({1: None, 2: 1.0, 4: 1.0}, [1], 1),  # the search itself says what is wrong
    ],
)
def test_workers_are_added_to_gpus_while_that_is_faster(
    speeds: dict[int, float | None], measured: list[int], chosen: int
) -> None:
    plan = measured_slots(means("gpu:0"), request_of(), gpus=1)
    seen: list[int] = []

    def measure(slots: list[Slot]) -> float:
        seen.append(len(slots))
        speed = speeds[len(slots)]
        if speed is None:
            raise InputError("the device's memory is full")
        return speed

    said = io.StringIO()
    display = Display(Console(file=said))
    assert automatic.best_slots(plan, measure, display, climbing=True) == plan[chosen]
    assert seen == measured
    lines = said.getvalue().splitlines()
    missing = [count for count in seen if speeds[count] is None]
    assert lines[: len(missing)] == [
        f"{count} cannot be measured: the device's memory is full" for count in missing
    ]
    if len(missing) < len(seen):
        assert lines[-1].startswith(f"--workers auto: {chosen} (measured: 1 with 8 threads 100 im")


def test_a_fault_of_ours_is_not_taken_for_a_lack_of_memory() -> None:
    def measure(slots: list[Slot]) -> float:
        raise WorkerFault("AssertionError")

    plan = measured_slots(means("gpu:0"), request_of(), gpus=1)
    with pytest.raises(WorkerFault):
        automatic.best_slots(plan, measure, Display(Console(file=io.StringIO())), climbing=True)


def test_where_there_is_no_choice_nothing_is_measured(finished_run: Path) -> None:
    said = io.StringIO()
    config = Run(finished_run).config()
    display = Display(Console(file=said))
    slots = slots_of(means("cpu:0", "cpu:1"), Run(finished_run), config, 0, display)
    assert [slot.device for slot in slots] == ["cpu:0", "cpu:1"]
    assert said.getvalue() == "--workers auto: 2 (the only choice)\n"


@pytest.mark.parametrize(
    ("message", "raised"),
    [("CUDA out of memory. Tried to allocate 2 GiB", InputError), ("shapes differ", RuntimeError)],
)
def test_a_network_that_does_not_fit_is_no_fault_of_the_measurement(
    message: str, raised: type[Exception]
) -> None:
    def begin(job: Job) -> Any:
        raise RuntimeError(message)

    digits = data.load("digits")
    architecture = automatic.example(read_space("quick"), digits.info)
    subject = Subject("candidate", 0, architecture.identity, 0, architecture)
    job = Job(subject, digits, Recipe(), "cpu", "float32", Path("none"))
    with pytest.raises(raised):
        images_per_second(begin, job, 32, 0.1, int)


def test_a_worker_waits_for_the_search_to_be_ready(finished_run: Path, tmp_path: Path) -> None:
    config = json.loads((finished_run / "run.json").read_text())
    del config["called"], config["precision"]
    (tmp_path / "run.json").write_text(json.dumps(config))
    done = run_cli("worker", tmp_path)
    assert done.returncode == 2
    assert "run.json: is not ready yet; nas-incep search begins a run" in done.stderr
