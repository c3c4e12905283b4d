"""A baseline as a bundle: exported, measured again by both engines, and refused where damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import SEARCH, run_cli
from helpers.engines import ENGINES

import nas_incep
from nas_incep._files import sha256
from nas_incep._params import read_params, write_params
from nas_incep.errors import InputError
from nas_incep.export.bundle import open_bundle

NAME = "cifar_resnet20_v1@12"


@pytest.fixture(scope="module")
def run(tiny_space: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a baseline behind a resize."""
    path = tmp_path_factory.mktemp("baseline") / "run"
    options = ("--trials", 1, "--baseline", NAME, "--run", path)
    done = run_cli("search", tiny_space, *SEARCH, *options)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def bundle(run: Path) -> Path:
    rows = json.loads(run_cli("leaderboard", run, "--format", "json").stdout)
    rank = next(row["rank"] for row in rows if row["kind"] == "baseline")
    done = run_cli("export", run, run / "best", "--rank", rank, "--symbol")
    assert done.returncode == 0, done.stderr
    assert f"baseline {NAME}, validation accuracy" in done.stdout
    return run / "best"


def change(bundle: Path, name: str, edit: Callable[[Any], Any]) -> None:
    """Changes a JSON file of a bundle, whose sums hold again afterward."""
    value = edit(json.loads((bundle / name).read_text()))
    (bundle / name).write_text(json.dumps(value))
    mend(bundle, name)


def mend(bundle: Path, name: str) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name]["sha256"] = sha256(bundle / name)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("engine", ENGINES)
def test_either_engine_measures_the_recorded_accuracy(bundle: Path, engine: str) -> None:
    done = run_cli("verify", bundle, "--engine", engine)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verified" in done.stdout


@pytest.mark.parametrize("engine", ENGINES)
def test_either_engine_predicts_from_the_same_parameters(bundle: Path, engine: str) -> None:
    predict = nas_incep.load_predictor(bundle, engine=engine)
    image = (np.arange(64, dtype=np.uint8) * 3).reshape(8, 8)
    found = dict(predict(image))
    assert sum(found.values()) == pytest.approx(1)
    other = nas_incep.load_predictor(bundle, engine="gluon")
    assert found == pytest.approx(dict(other(image)), rel=1e-4)


def test_the_bundle_says_what_it_holds(bundle: Path) -> None:
    network = json.loads((bundle / "network.json").read_text())
    assert network["name"] == NAME
    assert not (bundle / "architecture.json").exists()
    variables = {node["name"] for node in network["graph"]["nodes"] if node["op"] == "null"}
    assert variables - {"data"} == read_params(bundle / "weights.params", 1 << 24).keys()
    card = (bundle / "README.md").read_text()
    assert "It was not chosen by its accuracy" in card and "network.json" in card
    assert "(a baseline of the search)" in card and "onnx" not in card


@pytest.mark.filterwarnings("ignore:Cannot decide type")  # of the input, which may be any
def test_the_symbol_is_of_the_whole_network(bundle: Path) -> None:
    """With the resize and the normalization inside."""
    import mxnet as mx

    prefix = str(bundle / "model")
    alone = mx.gluon.SymbolBlock.imports(f"{prefix}-symbol.json", ["data"], f"{prefix}-0000.params")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)
    opened = open_bundle(bundle)
    expected = nas_incep.load(bundle, engine="gluon")(mx.nd.array(opened.normalization(pixels)))
    found = alone(mx.nd.array(pixels)).asnumpy()
    np.testing.assert_allclose(found, expected.asnumpy(), rtol=1e-4, atol=1e-5)


def test_it_becomes_files_that_a_search_has_as_a_baseline(bundle: Path, tmp_path: Path) -> None:
    done = run_cli("convert", bundle, tmp_path, "--name", "mine")
    assert done.returncode == 0, done.stderr
    kept = read_params(bundle / "weights.params", 1 << 24)
    written = read_params(tmp_path / "mine-0000.params", 1 << 24)
    assert {name.partition(":")[2] for name in written} == kept.keys()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("register", "{bundle}", "mine"), "this needs a candidate"),
        (("retrain", "{bundle}", "{bundle}2", "--epochs", "1"), "this needs a candidate"),
        (("describe", "{bundle}"), "has no blocks to describe"),
        (("predict", "{bundle}", "none.png", "--engine", "onnx"), "this needs a candidate"),
    ],
)
def test_what_only_a_candidate_can_is_refused(
    command: tuple[str, ...], message: str, bundle: Path
) -> None:
    done = run_cli(*(part.format(bundle=bundle) for part in command))
    assert done.returncode == 2
    assert f"baseline {NAME}" in done.stderr and message in done.stderr


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("graph", [{"nodes": []}, {"nodes": "x", "heads": 7}])
def test_a_graph_that_is_none_is_refused(
    graph: dict[str, Any], bundle: Path, tmp_path: Path, engine: str
) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    change(copy, "network.json", lambda value: {**value, "graph": graph})
    with pytest.raises(InputError, match=f"{copy}.*graph"):
        nas_incep.load(copy, engine=engine)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda v: {**v, "classes": 11}, "classes"),
        (lambda v: {**v, "input_shape": [1, 0, 8]}, "input_shape"),
        (lambda v: {k: x for k, x in v.items() if k != "macs"}, "macs is missing"),
        (lambda v: {**v, "name": "cifar_resnet20_v1"}, "the manifest is of"),
        (lambda v: {**v, "version": 2}, "version is 2, expected 1"),
    ],
)
def test_a_network_that_is_changed_is_refused(
    edit: Callable[[Any], Any], message: str, bundle: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    change(copy, "network.json", edit)
    with pytest.raises(InputError, match=message) as error:
        nas_incep.load_predictor(copy)
    assert str(copy) in str(error.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_parameters_of_another_network_are_refused(
    bundle: Path, tmp_path: Path, engine: str
) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    arrays = read_params(copy / "weights.params", 1 << 24)
    arrays["features.0.weight"] = arrays["features.0.weight"][:, :, :1]
    write_params(copy / "weights.params", arrays)
    mend(copy, "weights.params")
    with pytest.raises(InputError, match=f"does not fit {NAME}: features.0.weight is"):
        nas_incep.load(copy, engine=engine)


def test_a_file_of_the_other_kind_is_refused(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    change_number = json.loads((copy / "manifest.json").read_text())
    change_number["trial"]["number"] = 3
    (copy / "manifest.json").write_text(json.dumps(change_number))
    with pytest.raises(InputError, match=r"files.architecture.json is missing"):
        open_bundle(copy)
