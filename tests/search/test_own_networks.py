"""Baselines that functions of the user's own make, through the real command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import meddled, run_cli
from helpers.engines import ENGINES
from helpers.runs import results

import nas_incep
from nas_incep.results.run import Run

MODULE = """
from mxnet.gluon import nn

print("a module may print")


class Layer(nn.HybridBlock):
    def __init__(self, width):
        super().__init__()
        with self.name_scope():
            self.conv = nn.Conv2D(width, 3, padding=1, use_bias=False)
            self.norm = nn.BatchNorm()

    def hybrid_forward(self, F, x):
        return F.relu(self.norm(self.conv(x)))


def Small(classes, width=WIDTH):
    net = nn.HybridSequential()
    net.add(Layer(8), nn.MaxPool2D(), nn.Dropout(0.1), Layer(width), nn.GlobalAvgPool2D())
    net.add(nn.Flatten(), nn.Dense(classes, bias_initializer="ones"))
    return net


def raises(classes):
    raise RuntimeError("not today")


def number(classes):
    return 3


def seven(classes):
    return Small(7)


class Arrays(nn.HybridBlock):
    def hybrid_forward(self, F, x):
        return x * float(x.sum().asscalar())


def arrays(classes):
    return Arrays()


no_function = 3
"""
BUDGET = ("--epochs", 2, "--images-per-epoch", 64, "--batch-size", 32, "--device", "cpu")
SPEC = "my.nets:Small"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A working directory with a package of the user's own."""
    write(tmp_path, 16)
    return tmp_path


def write(home: Path, width: int) -> None:
    (home / "my").mkdir(exist_ok=True)
    (home / "my" / "nets.py").write_text(MODULE.replace("WIDTH", str(width)))


def search(home: Path, run: str, *options: object, engine: str = "gluon") -> Any:
    base = ("search", "quick", "--run", run, "--engine", engine, "--finals", "none", "--trials", 0)
    return run_cli(*base, *BUDGET, *options, cwd=home)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_function_makes_a_baseline(engine: str, home: Path) -> None:
    """It is trained, moved, gone on with where the module is gone, exported and verified."""
    own = f"{SPEC}@16:lr=0.003"
    done = search(home, "run", "--baseline", SPEC, "--baseline", own, engine=engine)
    assert done.returncode == 0, done.stderr
    moved = (home / "run").rename(home / "moved")
    records = {record.subject.name: record for record in Run(moved).records()}
    assert set(records) == {"my.nets.small", "my.nets.small@16:lr=0.003"}
    assert {record.outcome.state for record in records.values()} == {"complete"}
    # 8 x 1 x 9 + 16 x 8 x 9 + 10 x 16 weights, 10 biases, 2 x (8 + 16) of the normalizations.
    assert {record.outcome.parameters for record in records.values()} == {1442}
    assert records["my.nets.small@16:lr=0.003"].recipe.learning_rate == 0.003

    (home / "my" / "nets.py").unlink()
    done = run_cli("resume", moved, "--trials", 2, "--finals", 0.7, cwd=home)
    assert done.returncode == 0, done.stderr
    assert {r.subject.name for r in Run(moved).reruns()} >= {"my.nets.small"}
    names = [row["name"] for row in ranking(moved)]
    rank = names.index("my.nets.small") + 1
    done = run_cli("export", moved, home / "best", "--rank", rank)
    assert done.returncode == 0, done.stderr
    for verifier in ("gluon", engine):
        done = run_cli("verify", home / "best", "--engine", verifier)
        assert done.returncode == 0 and "verified" in done.stdout, done.stderr
    predict = nas_incep.load_predictor(home / "best")
    assert len(predict(np.zeros((8, 8), np.uint8))) == 10


def ranking(run: Path) -> list[dict[str, Any]]:
    done = run_cli("leaderboard", run, "--format", "json")
    return list(json.loads(done.stdout))


def test_it_is_the_same_training_as_from_files_of_convert(home: Path) -> None:
    done = run_cli("convert", SPEC, "nets", "--dataset", "digits", cwd=home)
    assert done.returncode == 0, done.stderr
    assert "--baseline nets/my.nets.small" in done.stdout
    for run, spec in (("function", SPEC), ("files", "nets/my.nets.small")):
        done = search(home, run, "--baseline", spec)
        assert done.returncode == 0, done.stderr
    assert results(home / "function") == results(home / "files")


def test_another_network_of_that_name_is_refused(home: Path) -> None:
    assert search(home, "run", "--baseline", SPEC).returncode == 0
    before = results(home / "run")
    write(home, 24)
    done = search(home, "run", "--baseline", SPEC)
    assert done.returncode == 2
    assert "my.nets.small-symbol.json: this run has trained another network" in done.stderr
    assert results(home / "run") == before


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("my.nets:nothing", "my.nets:nothing: my.nets ({home}/my/nets.py) has no function nothing"),
        ("my.nets:no_function", "has no function no_function"),
        ("my.nets:raises", "my.nets:raises: raises(classes=10) raised RuntimeError: not today"),
        ("my.nets:number", "number(classes=10) returned a int: a gluon.HybridBlock is expected"),
        ("my.nets:seven", "baseline my.nets:seven does not fit images of 1x8x8: its output has"),
        ("my.nets:arrays", "baseline my.nets:arrays: cannot be written as a graph: "),
        ("my.others:x", "my.others cannot be imported: ModuleNotFoundError: No module named"),
        ("resnet18_v1:pretraned", "settings of a zoo's network are NAME=VALUE or pretrained"),
        (f"{SPEC}:lr=x", f"baseline {SPEC}:lr=x: setting lr='x': a number is expected"),
        (f"{SPEC}@0", f"baseline {SPEC}@0: "),
    ],
)
def test_what_makes_no_baseline_is_one_sentence(spec: str, said: str, home: Path) -> None:
    done = search(home, "run", "--baseline", spec)
    assert done.returncode == 2, done.stderr
    assert said.format(home=home) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (home / "run").exists()


def test_debug_shows_the_users_own_error(home: Path) -> None:
    done = search(home, "run", "--baseline", "my.nets:raises", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_two_functions_of_one_name_are_refused(home: Path) -> None:
    done = search(home, "run", "--baseline", SPEC, "--baseline", "my.nets:small")
    assert done.returncode == 2
    assert "my.nets:Small and my.nets:small are different networks of one name" in done.stderr


def test_it_needs_mxnet(home: Path) -> None:
    pytest.importorskip("torch")
    hidden = """
import importlib.metadata, sys
sys.modules["mxnet"] = sys.modules["gluoncv"] = None
every = importlib.metadata.distributions
importlib.metadata.distributions = lambda **options: (
    found for found in every(**options) if not str(found.metadata["Name"]).startswith("mxnet")
)
"""
    environment = meddled(home, hidden)
    base = ("search", "quick", "--run", "run", "--engine", "torch", "--trials", 0, *BUDGET)
    done = run_cli(*base, "--baseline", SPEC, cwd=home, env=environment)
    assert done.returncode == 2
    assert f"baseline {SPEC}: needs MXNet, which writes its graph: pip install" in done.stderr
