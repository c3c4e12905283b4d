"""A search over one's own images by the real command line, and what becomes of its network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run_cli
from helpers.own_data import SHAPES, draw, refusal, write_folder, write_npz

from nas_incep.datasets import load
from nas_incep.engines import load_engine
from nas_incep.export.bundle import open_bundle
from nas_incep.export.evaluation import evaluate_bundle
from nas_incep.results.run import Run

OPTIONS = ("--epochs", 1, "--batch-size", 12, "--device", "cpu", "--threads", 1, "--workers", 1)
SEARCH = ("--trials", 2, "--baseline", "cifar_resnet20_v1", "--image-size", 16, *OPTIONS)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of three shapes in `train` and `test`. Tests only read it."""
    root = tmp_path_factory.mktemp("own") / "shapes"
    write_folder(root / "train")
    write_folder(root / "test", 4, seed=100)
    return root


@pytest.fixture(scope="module")
def run(shapes: Path, tiny_space: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of two candidates and a baseline on the shapes. Tests only read it."""
    path = tmp_path_factory.mktemp("runs") / "own"
    done = run_cli(
        "search", tiny_space, "--run", path, "--dataset", "shapes", *SEARCH, cwd=shapes.parent
    )
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "own"
    assert run_cli("export", run, path).returncode == 0
    return path


def test_a_search_trains_on_them(run: Path, shapes: Path) -> None:
    config = Run(run).config()
    assert config.request.dataset == str(shapes)
    assert config.data.classes == SHAPES
    assert config.data.image_shape == (3, 16, 16)
    assert config.data.validation_size == 12
    records = Run(run).records()
    assert len(records) == 3 and all(record.outcome.curve for record in records)
    assert {record.data_fingerprint for record in records} == {config.data.fingerprint}


def test_the_network_is_verified_and_evaluated(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["classes"] == list(SHAPES)
    done = run_cli("verify", bundle)
    assert done.returncode == 0 and "(12 images): verified" in done.stdout, done.stderr
    done = run_cli("evaluate", bundle, "--split", "test", "--format", "json")
    assert json.loads(done.stdout)["images"] == 12, done.stderr


def test_a_bundle_knows_the_data_that_were_changed_or_moved(
    bundle: Path, shapes: Path, table: tuple[str, str], tmp_path: Path
) -> None:
    engine = load_engine(table[1])

    def refused(path: Path, split: str, data_dir: Path | None) -> str:
        return refusal(lambda: evaluate_bundle(open_bundle(path), engine, split, data_dir, "cpu"))

    moved = Path(shutil.copytree(shapes, tmp_path / "moved"))
    gone = Path(shutil.copytree(bundle, tmp_path / "gone"))
    manifest = json.loads((gone / "manifest.json").read_text())
    manifest["data"]["name"] = str(tmp_path / "nowhere")
    (gone / "manifest.json").write_text(json.dumps(manifest))
    assert "no such folder or file; --data-dir names" in refused(gone, "validation", None)
    # With the data it comes as far as a table does.
    for split in ("validation", "test"):
        assert "a table has no parameters" in refused(gone, split, moved)
    draw("circle", 500).save(moved / "train" / "circle" / "000.png")
    for split in ("validation", "test"):
        told = refused(gone, split, moved)
        assert f"{moved}: these are not the data of {gone}" in told


def test_a_run_knows_the_data_that_were_moved_or_changed(
    tiny_space: Path, table: tuple[str, str], tmp_path: Path
) -> None:
    digits = load("digits").train
    place = tmp_path / "digits.npz"
    np.savez(place, x_train=digits.images[:, 0], y_train=digits.labels)
    options = ("--run", tmp_path / "run", "--baseline", "none", *OPTIONS, *table)

    def search(trials: int, *more: object) -> str:
        done = run_cli("search", tiny_space, "--trials", trials, "--dataset", *more, *options)
        assert done.returncode == (2 if done.stderr.startswith("nas-incep:") else 0), done.stderr
        return done.stderr

    search(2, place)
    assert "image_form.flip was False, now True" in search(3, place, "--flip")
    moved = place.rename(tmp_path / "moved.npz")
    assert f"{place}: no such folder or file" in search(3, place)
    search(3, moved)
    assert Run(tmp_path / "run").config().request.dataset == str(moved)
    np.savez(moved, x_train=255 - digits.images[:, 0], y_train=digits.labels)
    assert "data_fingerprint was" in search(4, moved)
    assert len(Run(tmp_path / "run").records()) == 3


def test_faults_end_a_search_before_its_folder_is_made(tmp_path: Path, tiny_space: Path) -> None:
    write_folder(tmp_path / "data", 4)
    (tmp_path / "data" / "square" / "001.png").write_bytes(b"no image")
    options = ("--run", tmp_path / "run", "--dataset", tmp_path / "data", *SEARCH)
    done = run_cli("search", tiny_space, *options)
    assert done.returncode == 2 and "1 of 12 images cannot be read: square/001.png" in done.stderr
    assert done.stderr.count("\n") == 1 or "--engine auto" in done.stderr
    assert not (tmp_path / "run").exists()


def test_the_command_data_describes_them(shapes: Path, tmp_path: Path) -> None:
    done = run_cli("data", shapes)
    assert f"{shapes}: 3 classes" in done.stdout and "circle: 16 and 4" in done.stdout
    assert "parts: 48 to train on, 12 to rank by, 12 sealed for the test" in done.stdout
    path = write_npz(tmp_path / "shapes.npz")
    done = run_cli("data", path, "--channels", 1, "--validation-size", 9, "--format", "json")
    facts = json.loads(done.stdout)
    assert (facts["train"], facts["validation"], facts["test"]) == (51, 9, None)
    assert facts["image_shape"] == [1, 32, 32] and len(facts["mean"]) == 1
    assert facts["classes"]["0"] == {"train": 17, "validation": 3}
    assert len(facts["fingerprint"]) == 16


def test_named_data_sets_are_described_and_keep_their_form() -> None:
    facts = json.loads(run_cli("data", "digits", "--format", "json").stdout)
    assert (facts["train"], facts["validation"], facts["test"]) == (1200, 300, 297)
    assert set(json.loads(run_cli("data", "--format", "json").stdout)) >= {"cifar10", "digits"}
    done = run_cli("data", "digits", "--image-size", 16)
    assert done.returncode == 2 and "digits has a form of its own" in done.stderr


def test_costs_are_those_of_their_images(shapes: Path, tiny_space: Path) -> None:
    done = run_cli("spaces", tiny_space, "--dataset", shapes, "--format", "json")
    assert json.loads(done.stdout)["dataset"] == "shapes", done.stderr
