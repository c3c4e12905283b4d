"""A training as a search sees it: whose fault a fault is, and what a failed start leaves."""

from __future__ import annotations

import errno
import gc
from pathlib import Path

import pytest

from nas_incep import datasets
from nas_incep.architecture import Architecture, Block
from nas_incep.datasets import Dataset
from nas_incep.engines.base import Job, NetworkFailed
from nas_incep.engines.gluon import checkpoint, session
from nas_incep.engines.gluon.engine import GluonEngine
from nas_incep.engines.gluon.networks import Network
from nas_incep.engines.gluon.runtime import mx
from nas_incep.recipe import Recipe
from nas_incep.records import CANDIDATE, FAILED, OUT_OF_MEMORY, Subject

ARCHITECTURE = Architecture((Block(1, 8, 8, 8, 8, 8, 8),), input_shape=(1, 8, 8))
RECIPE = Recipe(epochs=3, batch_size=32, images_per_epoch=320)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return datasets.load("digits")


def job(digits: Dataset, folder: Path) -> Job:
    subject = Subject(CANDIDATE, 0, ARCHITECTURE.identity, 1, ARCHITECTURE)
    return Job(subject, digits, RECIPE, "cpu", "float32", folder / "checkpoint")


def networks_alive() -> int:
    gc.collect()
    return sum(isinstance(item, Network) for item in gc.get_objects())


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (mx.base.MXNetError("Traceback ...\nMXNetError: Check failed: no"), FAILED),
        (mx.base.MXNetError("cudaMalloc failed: out of memory"), OUT_OF_MEMORY),
        (MemoryError(), OUT_OF_MEMORY),
    ],
)
def test_a_network_that_cannot_be_begun_fails_and_leaves_no_memory(
    error: Exception, state: str, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(network: object) -> int:
        raise error

    before = networks_alive()
    monkeypatch.setattr(session, "count_parameters", count)
    with pytest.raises(NetworkFailed) as failure:
        GluonEngine().start(job(digits, tmp_path))
    assert failure.value.state == state
    # Although the failure, with its traceback, is still at hand.
    assert networks_alive() == before


def test_a_fault_of_ours_is_not_the_networks(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(network: object) -> int:
        raise TypeError("ours")

    monkeypatch.setattr(session, "count_parameters", count)
    with pytest.raises(TypeError, match="ours"):
        GluonEngine().start(job(digits, tmp_path))


def test_where_it_is_told_to_stop_the_epoch_leaves_no_trace(
    digits: Dataset, tmp_path: Path
) -> None:
    engine = GluonEngine()
    with engine.start(job(digits, tmp_path)) as training:
        points = list(training.epochs(lambda images: len(training.curve) == 1 and images > 100))
        assert [point.epoch for point in points] == [1]
    with engine.start(job(digits, tmp_path)) as training:
        assert [point.epoch for point in training.curve] == [1]
        again = list(training.epochs(lambda images: False))
        assert [point.epoch for point in again] == [1, 2, 3]  # the restored one first
    with engine.start(job(digits, tmp_path / "other")) as training:
        whole = list(training.epochs(lambda images: False))
    assert [point.loss for point in again] == [point.loss for point in whole]


@pytest.mark.parametrize("name", ["curve.json", "1.params", "1.npz"])
def test_a_flipped_bit_in_a_checkpoint_begins_the_training_anew(
    name: str, digits: Dataset, tmp_path: Path
) -> None:
    engine, this = GluonEngine(), job(digits, tmp_path)
    with engine.start(this) as training:
        next(training.epochs(lambda images: False))
    whole = {path.name: path.read_bytes() for path in this.checkpoint.iterdir()}
    for position in range(7, len(whole[name]), max(1, len(whole[name]) // 12)):
        damaged = bytearray(whole[name])
        damaged[position] ^= 1
        this.checkpoint.mkdir(exist_ok=True)
        for file, content in {**whole, name: bytes(damaged)}.items():
            (this.checkpoint / file).write_bytes(content)
        with engine.start(this) as training:
            assert training.curve == []
        assert not this.checkpoint.exists()


def test_a_checkpoint_that_cannot_be_read_for_the_moment_is_kept(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, this = GluonEngine(), job(digits, tmp_path)
    with engine.start(this) as training:
        next(training.epochs(lambda images: False))

    def fail(path: Path) -> str:
        raise OSError(errno.EMFILE, "Too many open files", str(path))

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Too many open files"):
        patch.setattr(checkpoint, "sha256", fail)
        engine.start(this)
    with engine.start(this) as training:
        assert len(training.curve) == 1


def test_a_dropped_checkpoint_leaves_one_network_alive(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, this = GluonEngine(), job(digits, tmp_path)
    with engine.start(this) as training:
        next(training.epochs(lambda images: False))
    (this.checkpoint / "1.npz").write_bytes(b"half")
    before, alive, build = networks_alive(), [], session.build

    def counting(job: Job) -> Network:
        alive.append(networks_alive() - before)
        return build(job)

    monkeypatch.setattr(session, "build", counting)
    with engine.start(this):
        assert alive == [0, 0]


def test_memory_that_is_full_while_saving_is_no_full_disk(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(network: Network, path: str) -> None:
        raise mx.base.MXNetError("cudaMalloc failed: out of memory")

    monkeypatch.setattr(Network, "save_parameters", fail)
    training = GluonEngine().start(job(digits, tmp_path))
    with training, pytest.raises(NetworkFailed) as failure:
        list(training.epochs(lambda images: False))
    assert failure.value.state == OUT_OF_MEMORY


def test_a_lost_device_is_not_the_networks_fault(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(network: Network) -> int:
        raise mx.base.MXNetError("CUDA: an illegal memory access was encountered")

    monkeypatch.setattr(session, "count_parameters", fail)
    with pytest.raises(mx.base.MXNetError, match="illegal memory access"):
        GluonEngine().start(job(digits, tmp_path))
