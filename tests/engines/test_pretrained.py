"""A baseline may start from the parameters that its zoo publishes, or from converted ones."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run_cli
from helpers.engines import ENGINES

from nas_incep._params import read_params, write_params
from nas_incep.datasets import load
from nas_incep.engines import load_engine
from nas_incep.engines.base import Job
from nas_incep.engines.starting_values import pretrained_values
from nas_incep.records import BASELINE, Subject
from nas_incep.results.run import Run

NAME = "cifar_resnet20_v1"
SPEC = f"{NAME}:pretrained,optimizer=adam,lr=0.0001"
SHORT = ("--trials", 1, "--epochs", 1, "--images-per-epoch", 64, "--batch-size", 32)


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the network for CIFAR-10, with parameters that no seed would draw."""
    folder = tmp_path_factory.mktemp("converted")
    done = run_cli("convert", NAME, folder, "--dataset", "cifar10")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def root(converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MXNet's folder of models with the parameters of a gray network of ten classes."""
    models = tmp_path / "mxnet" / "models"
    models.mkdir(parents=True)
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mxnet"))
    arrays = read_params(converted / f"{NAME}-0000.params", 1 << 30)
    named = {name.rpartition(":")[2]: array for name, array in arrays.items()}
    named["features.0.weight"] = named["features.0.weight"].mean(axis=1, keepdims=True)
    _publish(models, named)
    return models


def _publish(models: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Writes a file named as the zoo's are."""
    for old in models.iterdir():
        old.unlink()
    path = models / "new.params"
    write_params(path, arrays)
    digits = hashlib.sha1(path.read_bytes()).hexdigest()[:8]
    return path.rename(models / f"{NAME}-{digits}.params")


def _search(run: Path, engine: str, *more: object) -> object:
    base = ("search", "quick", "--device", "cpu", "--engine", engine, "--run", run)
    return run_cli(*base, *SHORT, *more)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pretrained_baseline_starts_from_the_published_parameters(
    engine: str, root: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = _search(run, engine, "--baseline", SPEC)
    assert done.returncode == 0, done.stderr
    records = {r.subject.name: r for r in Run(run).records() if r.subject.is_baseline}
    name = f"{NAME}:optimizer=adam,lr=0.0001,pretrained"
    assert records[name].recipe.initializer == "pretrained"
    assert name in done.stdout

    loaded = load_engine(engine)
    subject = Subject(BASELINE, None, name, 0)
    recipe = dataclasses.replace(records[name].recipe, learning_rate=0.0)
    job = Job(subject, load("digits"), recipe, "cpu", "float32", tmp_path / "checkpoint")
    start = loaded.begin(job).parameters()
    published = read_params(next(root.iterdir()), 1 << 30)
    assert {place.removeprefix("network.") for place in start} == set(published)
    assert all(np.array_equal(start[place], array) for place, array in published.items())


@pytest.mark.parametrize("engine", ENGINES)
def test_other_classes_get_a_fresh_classifier(engine: str, root: Path, tmp_path: Path) -> None:
    published = next(root.iterdir())
    arrays = read_params(published, 1 << 30)
    for name in ("output.weight", "output.bias"):
        arrays[name] = np.repeat(arrays[name], 3, axis=0)
    published = _publish(root, arrays)
    shapes = {name: array.shape for name, array in arrays.items()}
    shapes |= {"output.weight": (10, *shapes["output.weight"][1:]), "output.bias": (10,)}
    kept = pretrained_values(f"{NAME}:pretrained", shapes, 10)
    assert set(arrays) - set(kept) == {"output.weight", "output.bias"}
    done = _search(tmp_path / "run", engine, "--baseline", f"{NAME}:pretrained")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_parameters_that_are_missing_damaged_or_of_another_network_are_refused(
    engine: str, root: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"

    def refused() -> str:
        done = _search(run, engine, "--baseline", f"{NAME}:pretrained")
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert not run.exists()
        return done.stderr

    published = next(root.iterdir())
    arrays = read_params(published, 1 << 30)
    published.write_bytes(published.read_bytes()[:-1])
    assert f"{published}: damaged: its SHA-1 is not what its name tells" in refused()
    published.unlink()
    (root / f"{NAME}-00000000.params").mkdir()
    assert "Is a directory" in refused()
    (root / f"{NAME}-00000000.params").rmdir()
    assert f"has no {NAME}-SHA1.params: GluonCV's get_model" in refused()
    _publish(root, {**arrays, "features.0.weight": np.zeros((16, 3, 3, 3), np.float32)})
    assert "features.0.weight is [16, 3, 3, 3]" in refused()
    del arrays["output.bias"]
    _publish(root, arrays)
    assert "has no array output.bias" in refused()


def test_a_converted_network_brings_its_parameters(converted: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    done = _search(tmp_path / "run", "torch", "--baseline", f"{converted}/{NAME}:pretrained")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "features.0.weight is [16, 3, 3, 3]" in done.stderr  # it is for images in color


def test_a_candidate_cannot_be_pretrained(tmp_path: Path) -> None:
    space = tmp_path / "space.toml"
    space.write_text('dataset = "digits"\nblocks = 1\n[training]\ninitializer = "pretrained"\n')
    done = run_cli("search", space, "--run", tmp_path / "run")
    assert done.returncode == 2
    assert "initializer is 'pretrained', which only a baseline can have" in done.stderr
