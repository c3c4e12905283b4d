"""Networks by name, through GluonCV's own get_model."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import nas_incep
from nas_incep.errors import InputError
from nas_incep.export.bundle import open_bundle
from nas_incep.export.registration import register


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    return tmp_path / "models"


def gluoncv_get_model() -> Any:
    """GluonCV's function, after `import nas_incep.gluon` has made it importable at all."""
    importlib.import_module("nas_incep.gluon")
    return importlib.import_module("gluoncv.model_zoo").get_model


def test_the_notebooks_network_comes_from_gluoncv() -> None:
    get_model = gluoncv_get_model()
    from nas_incep.engines.gluon.networks import count_parameters
    from nas_incep.engines.gluon.runtime import mx

    network = get_model("nas_incep_notebook", classes=10)
    network.initialize()
    assert network(mx.nd.zeros((1, 3, 32, 32))).shape == (1, 10)
    assert count_parameters(network) == nas_incep.NOTEBOOK.parameters
    other = get_model("NAS_Incep_Notebook", classes=7)
    other.initialize()
    assert other(mx.nd.zeros((1, 3, 32, 32))).shape == (1, 7)
    assert network.features is not None and network.output is not None


def test_a_registered_bundle_comes_with_its_parameters(bundle: Path, root: Path) -> None:
    get_model = gluoncv_get_model()
    from nas_incep.engines.gluon.runtime import mx

    path = register(open_bundle(bundle), "my_digits")
    assert path.parent == root
    assert path.name == f"my_digits-{path.stem[-8:]}.params"
    shape = open_bundle(bundle).architecture.input_shape
    x = mx.nd.random.uniform(shape=(3, *shape))
    expected = nas_incep.load(bundle)(x).asnumpy()
    for ctx in (mx.cpu(), mx.cpu(1), [mx.cpu(0)]):
        network = get_model("my_digits", pretrained=True, classes=10, ctx=ctx)
        device = ctx[0] if isinstance(ctx, list) else ctx
        assert (network(x.as_in_context(device)).asnumpy() == expected).all()
    assert (nas_incep.get_model("my_digits", pretrained=True)(x).asnumpy() == expected).all()


def test_another_number_of_classes_is_a_fresh_network_or_an_error(bundle: Path, root: Path) -> None:
    from nas_incep.engines.gluon.runtime import mx

    register(open_bundle(bundle), "my_digits")
    network = nas_incep.get_model("my_digits", classes=3)
    network.initialize()
    assert network(mx.nd.zeros((2, 1, 8, 8))).shape == (2, 3)
    with pytest.raises(InputError, match="for 10 classes, not 3"):
        nas_incep.get_model("my_digits", classes=3, pretrained=True)


def test_what_is_wrong_is_said(bundle: Path, root: Path) -> None:

    with pytest.raises(ValueError, match="nas_incep_notebook"):
        nas_incep.get_model("no_such_model")
    with pytest.raises(InputError, match="has no pretrained parameters"):
        nas_incep.get_model("nas_incep_notebook", pretrained=True)
    with pytest.raises(InputError, match="lower-case"):
        register(open_bundle(bundle), "My Digits")
    with pytest.raises(InputError, match="has a network of that name"):
        register(open_bundle(bundle), "resnet18_v1")
    path = register(open_bundle(bundle), "my_digits")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="damaged"):
        nas_incep.get_model("my_digits", pretrained=True)
    path.unlink()
    with pytest.raises(InputError, match="is missing"):
        nas_incep.get_model("my_digits", pretrained=True)


def test_a_name_that_is_given_anew_leaves_no_old_parameters(bundle: Path, root: Path) -> None:
    other = Path(shutil.copytree(bundle, root.parent / "other"))
    manifest = json.loads((other / "manifest.json").read_text())
    weights = other / "weights.params"
    # The last byte of a file of parameters belongs to a name: to change a number, one earlier.
    content = bytearray(weights.read_bytes())
    content[200] ^= 1
    weights.write_bytes(content)
    manifest["files"]["weights.params"]["sha256"] = hashlib.sha256(content).hexdigest()
    (other / "manifest.json").write_text(json.dumps(manifest))
    first, second = register(open_bundle(bundle), "mine"), register(open_bundle(other), "mine")
    assert first != second
    assert [path.name for path in root.glob("*.params")] == [second.name]
    assert nas_incep.get_model("mine", pretrained=True)


def test_without_a_home_folder_nothing_is_registered_and_all_else_works(tmp_path: Path) -> None:
    """As in a container that is started for a user whom it does not know."""
    code = (
        "import os, pwd; del os.environ['HOME']; os.environ.pop('MXNET_HOME', None)\n"
        "def unknown(*_): raise KeyError\n"
        "pwd.getpwuid = unknown\n"
        "import nas_incep, nas_incep.gluon\n"
        "print(type(nas_incep.get_model('nas_incep_notebook')).__name__)\n"
        "try: nas_incep.get_model('other')\n"
        "except ValueError as error: print(error)\n"
        "from nas_incep.datasets import load\n"
        "try: load('cifar10')\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "Network",
        "unknown model 'other'; the models are nas_incep_notebook",
        "CIFAR-10: there is no home folder to look in: give --data-dir, or set MXNET_HOME",
    ], done.stderr


def test_foreign_files_in_the_folder_do_no_harm(bundle: Path, root: Path) -> None:
    from nas_incep.engines.gluon import zoo

    root.mkdir()
    (root / "other.json").write_text("{ half")
    (root / "list.json").write_text(json.dumps([1]))
    zoo.announce()
    with pytest.raises(InputError, match="unknown model"):
        nas_incep.get_model("other")


def test_gluoncv_is_imported_beside_any_pytorch(tmp_path: Path) -> None:
    # GluonCV itself refuses from 2.0 on.
    (tmp_path / "torch.py").write_text('__version__ = "2.13.0"')
    code = "import nas_incep.gluon, torch; print(torch.__version__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.stdout == "2.13.0\n", done.stderr
