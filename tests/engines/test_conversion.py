"""Networks of MXNet as files: MXNet reads them, and they are baselines where it is missing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from helpers.commands import meddled, run_cli  # noqa: E402
from helpers.engines import WITHOUT_MXNET  # noqa: E402
from helpers.runs import results  # noqa: E402

import nas_incep  # noqa: E402
from nas_incep._params import read_params  # noqa: E402
from nas_incep.datasets import dataset_info  # noqa: E402
from nas_incep.engines import load_engine  # noqa: E402
from nas_incep.engines.gluon import conversion  # noqa: E402
from nas_incep.engines.gluon.baselines import stock_network  # noqa: E402
from nas_incep.engines.gluon.runtime import mx  # noqa: E402
from nas_incep.engines.gluon.training import initialize  # noqa: E402
from nas_incep.engines.torch.graph import GraphNetwork  # noqa: E402
from nas_incep.errors import InputError  # noqa: E402
from nas_incep.results.run import Run  # noqa: E402

# The zoo's network that has no graph in the package and takes images of any size.
NAME = "cifar_resnet20_v2"
DIGITS = dataset_info("digits")


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a converted network. Tests only read it."""
    folder = tmp_path_factory.mktemp("converted") / "all" / "networks"
    done = run_cli("convert", NAME, folder, "--dataset", "digits")
    assert done.returncode == 0, done.stderr
    assert f"--baseline {folder}/{NAME}" in done.stdout
    return folder


def opened_by_mxnet(path: Path) -> Any:
    """The network as a user of MXNet alone opens it."""
    files = f"{path}-symbol.json", ["data"], f"{path}-0000.params"
    return mx.gluon.SymbolBlock.imports(*files)


def opened_by_torch(path: Path, classes: int, shape: tuple[int, int, int]) -> Any:
    network = GraphNetwork(json.loads(Path(f"{path}-symbol.json").read_text()), "", classes, shape)
    arrays = read_params(Path(f"{path}-0000.params"), 1 << 30)
    named = {name.partition(":")[2]: torch.from_numpy(array) for name, array in arrays.items()}
    network.load_state_dict(named)
    return network.eval()


def images(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((3, *shape), dtype=np.float32)


def assert_same(path: Path, pixels: np.ndarray, expected: np.ndarray, classes: int = 10) -> None:
    """What MXNet and PyTorch compute with converted files is what the network computed."""
    np.testing.assert_array_equal(opened_by_mxnet(path)(mx.nd.array(pixels)).asnumpy(), expected)
    network = opened_by_torch(path, classes, pixels.shape[1:])
    with torch.no_grad():
        found = network(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore:Cannot decide type:UserWarning")
def test_a_zoos_network_keeps_its_values(converted: Path) -> None:
    network = stock_network(NAME, 10, None)
    initialize(network, "xavier", 0, DIGITS.image_shape, mx.cpu())
    pixels = images(DIGITS.image_shape)
    assert_same(converted / NAME, pixels, network(mx.nd.array(pixels)).asnumpy())


@pytest.mark.filterwarnings("ignore:Cannot decide type:UserWarning")
def test_a_bundles_network_keeps_its_values(bundle: Path, tmp_path: Path) -> None:
    done = run_cli("convert", bundle, tmp_path / "networks")
    assert done.returncode == 0, done.stderr
    path, pixels = tmp_path / "networks" / bundle.name, images(DIGITS.image_shape)
    assert_same(path, pixels, nas_incep.load(bundle)(mx.nd.array(pixels)).asnumpy())
    # As a baseline it is trained from the start, on any number of classes and images.
    assert load_engine("torch").check_baseline(str(path), 100, (3, 32, 32))


@pytest.mark.filterwarnings("ignore:Cannot decide type:UserWarning")
def test_a_pretrained_network_has_the_parameters_that_the_zoo_publishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gluoncv.model_zoo import model_store

    network = stock_network(NAME, 10, None)
    initialize(network, "msra", 7, (3, 32, 32), mx.cpu())
    published = tmp_path / "models" / "new.params"
    published.parent.mkdir()
    network.save_parameters(str(published))
    sha1 = hashlib.sha1(published.read_bytes()).hexdigest()
    monkeypatch.setitem(model_store._model_sha1, NAME, sha1)
    published.rename(published.with_name(f"{NAME}-{sha1[:8]}.params"))
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    conversion.convert_pretrained(NAME, tmp_path / "it")
    pixels = images((3, 32, 32))
    assert_same(tmp_path / "it", pixels, network(mx.nd.array(pixels)).asnumpy())


def test_it_is_a_baseline_where_mxnet_is_not_installed(converted: Path, tmp_path: Path) -> None:
    """Its record is the same as that of the zoo's network, whose graph MXNet writes."""
    options = ("--engine", "torch", "--device", "cpu", "--trials", 0)
    options += ("--epochs", 2, "--images-per-epoch", 64, "--batch-size", 32)
    alone = meddled(tmp_path, WITHOUT_MXNET)
    search = ["search", "quick", *options, "--run"]
    where = {"env": alone, "cwd": converted.parent}
    for run, spec, workers, more in (
        ("zoo", f"{NAME}@16:lr=0.05", 0, {}),
        ("files", f"{converted.name}/{NAME}@16:lr=0.05", 1, where),
    ):
        named = ("--baseline", spec, "--workers", workers)
        done = run_cli(*search, tmp_path / run, *named, **more)
        assert done.returncode == 0, done.stderr
    (record,) = Run(tmp_path / "files").records()
    assert (record.subject.name, record.outcome.state) == (f"{NAME}@16:lr=0.05", "complete")
    assert results(tmp_path / "files") == results(tmp_path / "zoo")
    check = ("check", "--engine", "torch", "--classes", 10, "--image-shape", "1,8,8")
    done = run_cli(*check, "--baseline", NAME, env=alone)
    assert done.returncode == 2 and "--baseline FOLDER/NAME" in done.stderr


def changed(folder: Path, text: str) -> str:
    """The spec of the converted network with another graph."""
    (folder / f"{NAME}-symbol.json").write_text(text)
    return str(folder / NAME)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("cut", r"-symbol\.json: not valid JSON: .*line \d+, column \d+\)$"),
        ("list", r"-symbol\.json: not a graph: a JSON object is expected$"),
        ("empty", r"-symbol\.json: not a valid graph: it has no list of nodes$"),
        ("operator", r"-symbol\.json: the operator Erase\\x1b is not known$"),
        ("classes", r"does not fit images of 1x8x8: its output has the shape \(7,\), not \(10,\)$"),
        ("gone", r"-symbol\.json: no such file$"),
    ],
)
def test_a_damaged_graph_is_refused_in_one_sentence(
    kind: str, said: str, converted: Path, tmp_path: Path
) -> None:
    text = (converted / f"{NAME}-symbol.json").read_text()
    graph = json.loads(text)
    for node in graph["nodes"]:
        if kind == "operator" and node["op"] == "Activation":
            node["op"] = "Erase\x1b"
        if kind == "classes" and "num_hidden" in node.get("attrs", {}):
            node["attrs"] = {"num_hidden": "7"}
    texts = {"cut": text[: len(text) // 2], "list": "[]", "empty": "{}"}
    spec = changed(tmp_path, texts.get(kind, json.dumps(graph)))
    if kind == "gone":
        Path(f"{spec}-symbol.json").unlink()
    with pytest.raises(InputError, match=said) as caught:
        load_engine("torch").check_baseline(spec, 10, DIGITS.image_shape)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_search_refuses_two_networks_of_one_name(converted: Path, tmp_path: Path) -> None:
    text = (converted / f"{NAME}-symbol.json").read_text().replace('"relu"', '"tanh"')
    other = changed(tmp_path, text)
    search = ["search", "quick", "--device", "cpu", "--engine", "torch", "--run", tmp_path / "run"]
    done = run_cli(*search, "--baseline", converted / NAME, "--baseline", other)
    assert done.returncode == 2
    assert "are different networks of one name" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_gluon_trains_a_converted_network_as_the_zoos(converted: Path, tmp_path: Path) -> None:
    options = ("--engine", "gluon", "--device", "cpu", "--trials", 0, "--workers", 0)
    options += ("--epochs", 2, "--images-per-epoch", 64, "--batch-size", 32)
    for run, spec in (("zoo", NAME), ("files", converted / NAME)):
        done = run_cli(
            "search", "quick", *options, "--run", tmp_path / run, "--baseline", f"{spec}:lr=0.05"
        )
        assert done.returncode == 0, done.stderr
    assert results(tmp_path / "files") == results(tmp_path / "zoo")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((NAME,), "exists; --force replaces it"),
        (("a/b",), "a/b: the folder of a bundle, NAME, NAME@SIZE or MODULE:FUNCTION is expected"),
        (
            (f"{NAME}:lr=1",),
            "the folder of a bundle, NAME, NAME@SIZE or MODULE:FUNCTION is expected",
        ),
        ((NAME, "--name", "../up"), "--name ../up: lower-case letters, digits, '_' and '.'"),
        ((NAME, "--name", ".hidden"), "--name .hidden: lower-case letters"),
        ((NAME, "--pretrained", "--dataset", "mnist", "--force"), "--dataset mnist: --pretrained"),
        (("vgg11", "--dataset", "digits"), "does not fit images of 1x8x8"),
    ],
)
def test_what_cannot_be_converted_is_told(
    arguments: tuple[str, ...], said: str, converted: Path
) -> None:
    before = sorted(converted.iterdir())
    name, *options = arguments
    done = run_cli("convert", name, converted, *options)
    assert done.returncode == 2
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
    assert sorted(converted.iterdir()) == before
