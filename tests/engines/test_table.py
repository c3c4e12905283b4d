"""The engine that answers from a table: what it gives, what it refuses, what it never imports."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import SEARCH, Options, meddled, run_cli
from helpers.runs import assert_as_recorded, rows
from helpers.tables import BASELINE, EPOCHS, curve, tiny_architectures, write_table

from nas_incep import datasets
from nas_incep.engines import load_engine
from nas_incep.engines.base import Engine, Job, NetworkFailed
from nas_incep.engines.table.engine import LOOKS
from nas_incep.errors import InputError
from nas_incep.recipe import Recipe
from nas_incep.records import CANDIDATE, EpochResult, Subject
from nas_incep.results.run import Run

ARCHITECTURE = tiny_architectures()[0]
POINTS = [EpochResult(**point) for point in curve(ARCHITECTURE.identity)]


def engine_of(path: Path) -> Engine:
    return load_engine(f"table:{path}")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return engine_of(write_table(tmp_path_factory.mktemp("table") / "t.json"))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Four epochs of one tiny network."""
    return Job(
        Subject(CANDIDATE, 0, ARCHITECTURE.identity, 0, ARCHITECTURE),
        datasets.load("digits"),
        Recipe(epochs=4),
        "cpu",
        "float32",
        tmp_path / "checkpoint",
    )


def never(images: int) -> bool:
    return False


# What it gives.


def test_the_figures_are_those_of_the_table(engine: Engine, job: Job) -> None:
    with engine.start(job) as training:
        assert list(training.epochs(never)) == training.curve == POINTS[:4]
        assert (training.parameters, training.macs) == (ARCHITECTURE.parameters, ARCHITECTURE.macs)
        assert training.latency_ms() == ARCHITECTURE.macs / 1e6


def test_a_search_records_the_figures_of_the_table(
    tiny_space: Path, table: tuple[str, str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    # With the default seed, the sampler draws a network twice.
    arguments = ("--trials", 4, "--run", run, "--baseline", "cifar_resnet20_v1", "--seed", 1)
    done = run_cli("search", tiny_space, *arguments, *SEARCH, *table)
    assert done.returncode == 0, done.stderr
    assert_as_recorded(run)
    costs = {a.identity: (a.parameters, a.macs) for a in tiny_architectures()}
    for record in Run(run).records():
        assert record.outcome.state == "complete"
        if not record.subject.is_baseline:
            outcome = record.outcome
            assert (outcome.parameters, outcome.macs) == costs[record.subject.name]
    assert {record.environment["device"] for record in Run(run).records()} == {"cpu"}


def test_of_several_curves_the_seed_decides_which_is_given(job: Job, tmp_path: Path) -> None:
    path, name = tmp_path / "seeds.json", ARCHITECTURE.identity
    curves = [curve(f"{name} {seed}") for seed in range(3)]
    network = {"parameters": 1, "macs": 1, "curves": curves}
    table = {"format": "nas-incep-table", "version": 2, "networks": {name: network}}
    path.write_text(json.dumps(table))
    engine, given = engine_of(path), set()
    for seed in range(6):
        subject = dataclasses.replace(job.subject, seed=seed)
        folder = tmp_path / f"checkpoint{seed}"
        with engine.start(dataclasses.replace(job, subject=subject, checkpoint=folder)) as training:
            points = [dataclasses.asdict(point) for point in training.epochs(never)]
        assert points in [whole[:4] for whole in curves]
        given.add(points[-1]["val_accuracy"])
    assert len(given) == 3


def test_it_goes_on_after_the_last_epoch_of_its_checkpoint(engine: Engine, job: Job) -> None:
    for finished in range(1, 4):
        with engine.start(job) as training:
            assert training.curve == POINTS[: finished - 1]
            epochs = training.epochs(never)
            if finished > 1:  # whoever follows it sees where it stands
                assert next(epochs) == POINTS[finished - 2]
            assert next(epochs) == POINTS[finished - 1]
    with engine.start(job) as training:
        assert list(training.epochs(never)) == POINTS[2:4]
        assert training.curve == POINTS[:4]


def test_the_last_epoch_leaves_no_checkpoint(engine: Engine, job: Job) -> None:
    job = dataclasses.replace(job, recipe=Recipe(epochs=1))
    with engine.start(job) as training:
        assert list(training.epochs(never)) == POINTS[:1]
    assert not job.checkpoint.exists()


def test_a_stop_leaves_the_epoch_without_a_trace(engine: Engine, job: Job) -> None:
    asked = []

    def should_stop(images: int) -> bool:
        asked.append(images)
        return len(asked) == 2 * LOOKS

    with engine.start(job) as training:
        assert list(training.epochs(should_stop)) == training.curve == POINTS[:1]
    assert asked == [320 * look // LOOKS for look in range(1, LOOKS + 1)] * 2
    with engine.start(job) as training:
        assert training.curve == POINTS[:1]


@pytest.mark.parametrize("device", ["auto", "cpu", "cpu:1"])
def test_any_cpu_will_do(device: str, engine: Engine) -> None:
    assert engine.resolve(device) == "cpu"
    assert engine.count_gpus() == 0
    assert engine.threads() == 1


# Writes the names of a process's modules to a file at its end.
WITNESS = """
import atexit, os, sys
def testify():
    path = os.path.join(os.environ["WITNESSES"], str(os.getpid()))
    with open(path, "w") as file:
        file.write("\\n".join([*sys.argv[1:2], *sys.modules]))
atexit.register(testify)
"""


def test_a_search_over_a_table_imports_no_framework(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    witnesses = tmp_path / "witnesses"
    witnesses.mkdir()
    run = tmp_path / "run"
    arguments = ("--trials", 4, "--run", run, "--baseline", BASELINE, "--workers", 2)
    environment = meddled(tmp_path, WITNESS, WITNESSES=str(witnesses))
    done = run_cli("search", tiny_space, *arguments, *SEARCH, *table, env=environment)
    assert done.returncode == 0, done.stderr
    processes = [path.read_text().splitlines() for path in witnesses.iterdir()]
    assert sorted(modules[0] for modules in processes) == ["search", "worker", "worker"]
    for modules in processes:
        assert "nas_incep.cli" in modules
        assert not {"mxnet", "gluoncv"} & set(modules), modules[0]
    workers = [modules for modules in processes if modules[0] == "worker"]
    assert all("nas_incep.engines.table.engine" in modules for modules in workers)


# What it refuses.


def test_a_network_without_a_curve_is_a_failed_trial(
    tiny_space: Path, tmp_path: Path, job: Job
) -> None:
    reference = "95d4601560d7"
    path = write_table(tmp_path / "t.json", without=[reference, ARCHITECTURE.identity])
    with pytest.raises(NetworkFailed, match=f"has no curve of {ARCHITECTURE.identity}") as error:
        engine_of(path).start(job)
    assert error.value.state == "failed"
    run = tmp_path / "run"
    arguments = ("--trials", 3, "--run", run, "--baseline", "none", "--engine", f"table:{path}")
    done = run_cli("search", tiny_space, *arguments, *SEARCH)
    assert done.returncode == 0, done.stderr
    first, *others = Run(run).records()
    assert (first.subject.name, first.outcome.state) == (reference, "failed")
    assert first.outcome.reason == f"{path} has no curve of {reference}"
    assert first.outcome.curve == () and not list(run.glob("trials/000000.params"))
    assert {record.outcome.state for record in others} == {"complete"}
    assert f"trial 0 failed: {first.outcome.reason}" in done.stderr


def test_no_more_epochs_than_were_recorded(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = ("--trials", 1, "--run", run, "--baseline", "none", *SEARCH, *table)
    done = run_cli("search", tiny_space, *arguments, "--epochs", EPOCHS + 1)
    assert done.returncode == 2
    assert f"has {EPOCHS} epochs, the recipe {EPOCHS + 1}" in done.stderr
    # It is no trial's fault: nothing is recorded.
    assert rows(run) == []


def changed(**changes: Any) -> Any:
    """A change of a whole table, by keys at its top."""
    return lambda value: {**value, **changes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(format="nas-incep-run"), "format is 'nas-incep-run', expected 'nas-incep-table'"),
        (changed(version=3), "version is 3, expected 1 or 2"),
        (changed(version=2), "curves is missing"),
        (changed(networks=[]), "networks is []: an object is expected"),
        (changed(networks={"a": {"parameters": 1, "macs": 1}}), "curve is missing"),
        (
            changed(networks={"a": {"parameters": -1, "macs": 1, "curve": []}}),
            "networks[...].parameters is",
        ),
        (changed(epoch_seconds=-1), "epoch_seconds is -1"),
        (changed(speed=1), "unknown key 'speed'"),
        (lambda value: [value], "an object is expected"),
        (lambda value: {"networks": value["networks"]}, "format"),
    ],
)
def test_a_wrong_table_is_refused_with_the_place(change: Any, message: str, tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.json")
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(InputError) as error:
        engine_of(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--device", "gpu"), "--device gpu: a table needs no device; auto or cpu is expected"),
        (("--device", "cpu,gpu:1"), "--device gpu:1: a table needs no device"),
        (("--precision", "bfloat16"), "--precision bfloat16: a table has only float32"),
        (("--baseline", "inception3@75"), "has no curve of it"),
        (("--engine", "table:"), "engine 'table:': the engines are gluon, torch, table:PATH"),
        (("--engine", "abacus"), "'abacus' is not one of auto, gluon, torch"),
        (("--engine", "table:nothing.json"), "nothing.json"),
        (("--workers", "auto", "--threads", "2"), "there is no speed to measure"),
    ],
)
def test_what_a_table_cannot_do_is_refused_in_one_sentence(
    options: Options, message: str, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = ("--trials", 1, "--run", run, "--threads", 1, *SEARCH, *table, *options)
    baseline = () if "--baseline" in options else ("--baseline", "none")
    done = run_cli("search", tiny_space, *arguments, *baseline)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_without_latencies_has_none_to_limit(tiny_space: Path, tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.json")
    value = json.loads(path.read_text())
    for network in value["networks"].values():
        network.pop("latency_ms", None)
    path.write_text(json.dumps(value))
    arguments = ("--trials", 1, "--run", tmp_path / "r", "--baseline", "none", "--latency")
    done = run_cli("search", tiny_space, *arguments, *SEARCH, "--engine", f"table:{path}")
    assert done.returncode == 2
    assert "the table has no latency of 95d4601560d7" in done.stderr


def test_there_are_no_parameters_to_do_anything_with(
    engine: Engine, job: Job, table_run: Path, tmp_path: Path
) -> None:
    weights, images = tmp_path / "weights", job.dataset.train
    with pytest.raises(InputError, match="nothing to evaluate"):
        engine.evaluate(ARCHITECTURE, weights, images, Any, "cpu")
    with pytest.raises(InputError, match="no network to load"):
        engine.load_network(ARCHITECTURE, weights)
    with pytest.raises(InputError, match="no speed to measure"):
        engine.images_per_second(job, 1.0, int)
    # What a search keeps in their place is told from parameters by whoever opens it.
    assert run_cli("export", table_run, tmp_path / "best").returncode == 0
    done = run_cli("verify", tmp_path / "best", cwd=tmp_path, env={**os.environ})
    assert done.returncode == 2
    assert "weights.params: not a file of MXNet's parameters" in done.stderr


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"epochs": "x"}', '{"epochs": 99}', '{"epochs": -1}', "{epochs"]
)
def test_a_damaged_checkpoint_is_dropped(content: str, engine: Engine, job: Job) -> None:
    job.checkpoint.mkdir()
    (job.checkpoint / "curve.json").write_text(content)
    with engine.start(job) as training:
        assert training.curve == []
        assert list(training.epochs(never)) == POINTS[:4]


def test_a_tables_path_is_kept_whole(tiny_space: Path, tmp_path: Path) -> None:
    """A worker may have another working directory."""
    write_table(tmp_path / "t.json")
    run = tmp_path / "run"
    options = ("--run", run, "--trials", 1, "--baseline", "none", *SEARCH)
    done = run_cli("search", tiny_space, *options, "--engine", "table:t.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run_cli("worker", run, cwd="/")
    assert done.returncode == 0, done.stderr
