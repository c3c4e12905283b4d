"""A training as a search sees it: whose fault a fault is, and what a failed start leaves."""

from __future__ import annotations

import dataclasses
import errno
import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.engines import ENGINES

from nas_incep import datasets
from nas_incep.architecture import Architecture, Block
from nas_incep.datasets import Dataset
from nas_incep.engines import checkpoint, load_engine
from nas_incep.engines.base import Job, NetworkFailed
from nas_incep.errors import DeviceLost
from nas_incep.recipe import Recipe
from nas_incep.records import CANDIDATE, FAILED, OUT_OF_MEMORY, Subject

ARCHITECTURE = Architecture((Block(1, 8, 8, 8, 8, 8, 8),), input_shape=(1, 8, 8))
RECIPE = Recipe(epochs=3, batch_size=32, images_per_epoch=320)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Any:
    return load_engine(request.param)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.load("digits")


def job(digits: Dataset, folder: Path) -> Job:
    subject = Subject(CANDIDATE, 0, ARCHITECTURE.identity, 1, ARCHITECTURE)
    return Job(subject, digits, RECIPE, "cpu", "float32", folder / "checkpoint")


def train_one_epoch(engine: Any, job: Job) -> None:
    """Leaves the checkpoint of its first epoch."""
    with engine.start(job) as training:
        next(training.epochs(lambda images: False))


def networks_alive() -> int:
    gc.collect()
    return sum(type(item).__name__ == "Network" for item in gc.get_objects())


def error_of(engine: Any, message: str) -> Exception:
    """An error as the engine's framework raises it."""
    name = "mxnet.base" if "gluon" in type(engine).__module__ else "torch"
    space: dict[str, Any] = {"__name__": name}
    exec("def fail(error): raise error", space)
    kind: type[Exception] = RuntimeError
    if name == "mxnet.base":
        from nas_incep.engines.gluon.runtime import mx

        kind = mx.base.MXNetError
    try:
        space["fail"](kind(message))
    except Exception as error:
        return error
    raise AssertionError


def with_fault(engine: Any, method: str, error: Exception) -> Any:
    """The engine, whose trainings raise an error in one of their methods."""
    begin: Callable[[Job], Any] = engine.begin

    def begin_faulty(job: Job) -> Any:
        training = begin(job)

        def fail(*arguments: object) -> None:
            raise error

        setattr(training, method, fail)
        return training

    engine.begin = begin_faulty
    return engine


@pytest.mark.parametrize(
    ("message", "state"),
    [
        ("Traceback ...\nError: Check failed: no", FAILED),
        ("cudaMalloc failed: out of memory", OUT_OF_MEMORY),
        ("", OUT_OF_MEMORY),
    ],
)
def test_a_network_that_cannot_be_begun_fails_and_leaves_no_memory(
    engine: Any, message: str, state: str, digits: Dataset, tmp_path: Path
) -> None:
    error = error_of(engine, message) if message else MemoryError()
    before = networks_alive()
    with pytest.raises(NetworkFailed) as failure:
        with_fault(engine, "count", error).start(job(digits, tmp_path))
    assert failure.value.state == state
    # Although the failure, with its traceback, is still at hand.
    assert networks_alive() == before


def test_a_fault_of_ours_is_not_the_networks(engine: Any, digits: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="ours"):
        with_fault(engine, "count", TypeError("ours")).start(job(digits, tmp_path))


def test_a_lost_device_is_not_the_networks_fault(
    engine: Any, digits: Dataset, tmp_path: Path
) -> None:
    error = error_of(engine, "CUDA: an illegal memory access was encountered")
    with pytest.raises(DeviceLost, match="illegal memory access"):
        with_fault(engine, "count", error).start(job(digits, tmp_path))


def test_where_it_is_told_to_stop_the_epoch_leaves_no_trace(
    engine: Any, digits: Dataset, tmp_path: Path
) -> None:
    with engine.start(job(digits, tmp_path)) as training:
        points = list(training.epochs(lambda images: len(training.curve) == 1 and images > 100))
        assert [point.epoch for point in points] == [1]
    with engine.start(job(digits, tmp_path)) as training:
        assert [point.epoch for point in training.curve] == [1]
        again = list(training.epochs(lambda images: False))
        assert [point.epoch for point in again] == [1, 2, 3]  # the restored one first
    with engine.start(job(digits, tmp_path / "other")) as training:
        whole = list(training.epochs(lambda images: False))
    figures = [(point.loss, point.val_loss, point.val_accuracy) for point in again]
    assert figures == [(point.loss, point.val_loss, point.val_accuracy) for point in whole]


def means_the_same(one: bytes, other: bytes) -> bool:
    """Whether only the last digit of a number differs, which rounding drops."""
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["curve.json", "1.params", "1.optimizer"])
def test_a_flipped_bit_in_a_checkpoint_begins_the_training_anew(
    engine: Any, name: str, digits: Dataset, tmp_path: Path
) -> None:
    this = job(digits, tmp_path)
    train_one_epoch(engine, this)
    whole = {path.name: path.read_bytes() for path in this.checkpoint.iterdir()}
    for position in range(7, len(whole[name]), max(1, len(whole[name]) // 12)):
        damaged = bytearray(whole[name])
        damaged[position] ^= 1
        if name == "curve.json" and means_the_same(whole[name], bytes(damaged)):
            continue
        this.checkpoint.mkdir(exist_ok=True)
        for file, content in {**whole, name: bytes(damaged)}.items():
            (this.checkpoint / file).write_bytes(content)
        with engine.start(this) as training:
            assert training.curve == []
        assert not this.checkpoint.exists()


@pytest.mark.parametrize("name", ["1.params", "1.optimizer", "curve.json"])
def test_a_checkpoint_larger_than_the_network_is_begun_anew_unread(
    engine: Any, digits: Dataset, tmp_path: Path, name: str
) -> None:
    this = job(digits, tmp_path)
    train_one_epoch(engine, this)
    with open(this.checkpoint / name, "r+b") as file:
        file.truncate(1 << 40)  # sparse: it takes no room, but an hour to read
    with engine.start(this) as training:
        assert training.curve == []


def test_a_checkpoint_of_another_engine_begins_the_training_anew(
    engine: Any, digits: Dataset, tmp_path: Path
) -> None:
    this = job(digits, tmp_path)
    train_one_epoch(engine, this)
    training = engine.begin(this)
    parameters = training.count()[0]
    form = f"{training.form_name} of {this.subject.name} for {RECIPE.epochs} epochs"
    saved = checkpoint.read_checkpoint(this.checkpoint, form, parameters)
    for name in ("another", saved.form):
        changed = checkpoint.Checkpoint(name, saved.curve, saved.parameters, saved.optimizer)
        checkpoint.save_checkpoint(changed, this.checkpoint)
        with engine.start(this) as training:
            assert len(training.curve) == (name == saved.form)


def test_a_checkpoint_of_a_training_of_another_length_is_begun_anew(
    engine: Any, digits: Dataset, tmp_path: Path
) -> None:
    """Its learning rates were others."""
    short = job(digits, tmp_path)
    train_one_epoch(engine, short)
    longer = dataclasses.replace(short, recipe=dataclasses.replace(RECIPE, epochs=5))
    with engine.start(longer) as training:
        assert training.curve == []


def test_a_checkpoint_that_cannot_be_read_for_the_moment_is_kept(
    engine: Any, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = job(digits, tmp_path)
    train_one_epoch(engine, this)

    def fail(path: Path, limit: int) -> str:
        raise OSError(errno.EMFILE, "Too many open files", str(path))

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Too many open files"):
        patch.setattr(checkpoint, "sha256", fail)
        engine.start(this)
    with engine.start(this) as training:
        assert len(training.curve) == 1


def test_a_device_that_is_lost_while_a_checkpoint_is_restored_leaves_it(
    engine: Any, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = job(digits, tmp_path)
    train_one_epoch(engine, this)
    error = error_of(engine, "CUDA: misaligned address")
    with monkeypatch.context() as patch, pytest.raises(DeviceLost):
        patch.setattr(engine, "begin", engine.begin)
        with_fault(engine, "restore", error).start(this)
    with engine.start(this) as training:
        assert len(training.curve) == 1


def test_a_dropped_checkpoint_leaves_one_network_alive(
    engine: Any, digits: Dataset, tmp_path: Path
) -> None:
    this = job(digits, tmp_path)
    train_one_epoch(engine, this)
    (this.checkpoint / "1.optimizer").write_bytes(b"half")
    before, alive = networks_alive(), []
    begin: Callable[[Job], Any] = engine.begin

    def counting(job: Job) -> Any:
        alive.append(networks_alive() - before)
        return begin(job)

    engine.begin = counting
    with engine.start(this):
        assert alive == [0, 0]


def test_memory_that_is_full_while_saving_is_no_full_disk(
    engine: Any, digits: Dataset, tmp_path: Path
) -> None:
    error = error_of(engine, "cudaMalloc failed: out of memory")
    training = with_fault(engine, "parameters", error).start(job(digits, tmp_path))
    with training, pytest.raises(NetworkFailed) as failure:
        list(training.epochs(lambda images: False))
    assert failure.value.state == OUT_OF_MEMORY
