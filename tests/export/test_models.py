"""The optional files of a bundle, each used without this package."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.bundles import a_bundle
from helpers.commands import meddled, run_cli
from PIL import Image

from nas_incep import datasets
from nas_incep.errors import InputError
from nas_incep.export.bundle import check_models, open_bundle
from nas_incep.export.models import add_models
from nas_incep.export.predictor import outputs_of

HAS_TORCH = importlib.util.find_spec("torch") is not None
KINDS = ("--onnx", "--symbol", *(["--torch"] if HAS_TORCH else []))
FILES = ["model.onnx", "model-symbol.json", *(["model.pt2"] if HAS_TORCH else [])]
DOCS = Path(__file__).parents[2] / "docs" / "export.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
# A process that has the framework, and cannot import the package.
ALONE = """
import sys
sys.modules["nas_incep"] = None
import numpy as np
np.bool = bool  # which MXNet 1.9.1 still asks for
pixels = np.load("pixels.npy")
{code}
np.save("outputs.npy", outputs)
"""
USES = {
    "onnx": """
import onnxruntime
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
outputs = session.run(["scores"], {"pixels": pixels})[0]
""",
    "symbol": """
import mxnet as mx
network = mx.gluon.SymbolBlock.imports("model-symbol.json", ["data"], "model-0000.params")
outputs = network(mx.nd.array(pixels)).asnumpy()
assert (network(mx.nd.array(pixels, dtype="uint8")).asnumpy() == outputs).all()
""",
    "module": """
import mxnet as mx
symbol, arguments, auxiliaries = mx.model.load_checkpoint("model", 0)
module = mx.mod.Module(symbol, data_names=["data"], label_names=None)
module.bind(data_shapes=[("data", pixels.shape)], for_training=False)
module.set_params(arguments, auxiliaries)
module.forward(mx.io.DataBatch([mx.nd.array(pixels)]), is_train=False)
outputs = module.get_outputs()[0].asnumpy()
""",
    "torch": """
import torch
network = torch.export.load("model.pt2").module()
with torch.inference_mode():
    outputs = network(torch.from_numpy(pixels)).numpy()
    assert np.abs(network(torch.from_numpy(pixels[:1])).numpy() - outputs[:1]).max() < 1e-5
""",
}


@pytest.fixture(scope="module")
def full(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A bundle with every optional file, and what the command said."""
    path = tmp_path_factory.mktemp("full") / "best"
    done = run_cli("export", finished_run, path, *KINDS)
    assert done.returncode == 0, done.stderr
    return path, done.stdout


def test_the_command_compares_the_onnx_model_on_the_validation_images(
    full: tuple[Path, str],
) -> None:
    path, said = full
    assert f"{path}/model.onnx: the same class for each of 300 validation images" in said
    largest = float(said.partition("outputs differ by at most ")[2].split()[0])
    assert 0 <= largest < 1e-5


def test_the_manifest_and_the_card_name_the_files(full: tuple[Path, str]) -> None:
    path, _ = full
    files = json.loads((path / "manifest.json").read_text())["files"]
    there = {file.name for file in path.iterdir()}
    assert set(files) == there - {"manifest.json", "README.md"} >= set(FILES)
    assert all(f"- `{name}`: " in (path / "README.md").read_text() for name in FILES)


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(use, marks=pytest.mark.skipif(use == "torch" and not HAS_TORCH, reason="none"))
        for use in USES
    ],
)
def test_a_file_gives_the_networks_outputs_without_this_package(
    use: str, full: tuple[Path, str], tmp_path: Path
) -> None:
    images = datasets.load("digits").validation.images
    np.save(tmp_path / "pixels.npy", images)
    for file in full[0].glob("model*"):
        shutil.copy(file, tmp_path)
    code = ALONE.format(code=USES[use])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    expected = outputs_of(open_bundle(full[0]), "torch" if use == "torch" else "gluon", "cpu")
    assert np.abs(np.load(tmp_path / "outputs.npy") - expected(images)).max() < 1e-5


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_examples_of_the_documentation_work(
    code: str, full: tuple[Path, str], tmp_path: Path
) -> None:
    if "import torch" in code and not HAS_TORCH:
        pytest.skip("PyTorch is not installed")
    shutil.copytree(full[0], tmp_path / "best")
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "image.png")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_no_file_tells_of_this_machine(full: tuple[Path, str]) -> None:
    here = str(Path(__file__).parents[2]).encode()
    for file in full[0].iterdir():
        assert here not in file.read_bytes(), file


@pytest.mark.parametrize("name", FILES)
def test_verify_finds_a_damaged_file(name: str, full: tuple[Path, str], tmp_path: Path) -> None:
    path = Path(shutil.copytree(full[0], tmp_path / "b"))
    data = bytearray((path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (path / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: damaged"):
        check_models(open_bundle(path))
    if name == FILES[0]:
        done = run_cli("verify", path)
        assert (done.returncode, done.stderr) == (1, "")
        assert f"NOT the same: {path / name}: damaged" in done.stdout


def test_a_manifest_names_no_file_elsewhere(copy: Path) -> None:
    value = json.loads((copy / "manifest.json").read_text())
    value["files"]["../secret"] = value["files"]["weights.params"]
    (copy / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"files has '\.\./secret'; the files are architecture"):
        open_bundle(copy)


def test_without_the_data_the_model_is_written_and_not_compared(tmp_path: Path) -> None:
    bundle, said = a_bundle(tmp_path / "b"), list[str]()
    add_models(bundle, ["onnx"], tmp_path / "nothing", said.append)
    assert len(said) == 1 and said[0].startswith("model.onnx: not compared with the network: ")
    assert (bundle.path / "model.onnx").stat().st_size > bundle.architecture.parameters * 4


def test_a_table_has_no_network_to_export(table_run: Path, tmp_path: Path) -> None:
    done = run_cli("export", table_run, tmp_path / "b", "--onnx")
    assert done.returncode == 2
    assert f"{tmp_path / 'b'}/weights.params: not a file of MXNet's parameters" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "option", "extra"),
    [
        ("onnx", "--onnx", "onnx is not installed: pip install 'nas-incep[onnx]'"),
        ("torch", "--torch", "--torch: PyTorch is not installed"),
    ],
)
def test_what_is_not_installed_is_said_before_anything_is_written(
    module: str, option: str, extra: str, table_run: Path, tmp_path: Path
) -> None:
    hidden = f"""
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == {module!r} else find(name, *more)
"""
    (tmp_path / "site").mkdir()
    env = meddled(tmp_path / "site", hidden)
    done = run_cli("export", table_run, tmp_path / "b", option, env=env)
    assert done.returncode == 2
    assert extra in done.stderr
    assert not (tmp_path / "b").exists()
