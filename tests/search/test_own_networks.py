"""Baselines that functions of the user's own make, through the real command line."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import meddled, run_cli
from helpers.engines import ENGINES
from helpers.runs import results
from PIL import Image

import nas_incep
from nas_incep.results.run import Run

MODULE = """
import os
import signal

import mxnet as mx
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


small = Small


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


def wide(classes):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(2 * classes, 1), nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dense(classes))
    return net


def suddenly(classes):
    return Small(classes, 8 if classes in (10, 11) else 16)


def orthogonal(classes):
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 1, weight_initializer=mx.init.Orthogonal()), nn.GlobalAvgPool2D())
    net.add(nn.Flatten(), nn.Dense(classes))
    return net


class Scale(nn.HybridBlock):
    def __init__(self):
        super().__init__()
        self.scale = self.params.get("scale", shape=(1,), allow_deferred_init=True)

    def hybrid_forward(self, F, x, scale):
        return F.broadcast_mul(x, scale)


def scaled(classes):
    net = Small(classes)
    net.add(Scale())
    return net


def dies(classes):
    print("downloading", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(classes):
    raise SystemExit("bye")


def unused(classes):
    class Whole(nn.HybridBlock):
        def __init__(self):
            super().__init__()
            with self.name_scope():
                self.used, self.unused = Small(classes), nn.Dense(3)

        def hybrid_forward(self, F, x):
            return self.used(x)

    return Whole()
"""
BUDGET = ("--epochs", 2, "--images-per-epoch", 64, "--batch-size", 32, "--device", "cpu")
SPEC = "my.nets:Small"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A working directory with a package of the user's own."""
    write(tmp_path, 16)
    return tmp_path


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a finished run, for tests to copy."""
    folder = tmp_path_factory.mktemp("begun")
    write(folder, 16)
    done = search(folder, "run", "--baseline", SPEC)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def searched(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "home"))


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


def test_what_a_kill_before_the_first_training_leaves_is_replaced(home: Path) -> None:
    graph = home / "run" / "networks" / "my.nets.small-symbol.json"
    graph.parent.mkdir(parents=True)
    graph.write_text("{}")
    done = search(home, "run", "--baseline", SPEC)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(graph.read_text())["nodes"]) > 10


def test_another_network_of_that_name_is_refused(searched: Path) -> None:
    home = searched
    before = results(home / "run")
    write(home, 24)
    done = search(home, "run", "--baseline", SPEC)
    assert done.returncode == 2
    assert "my.nets.small-symbol.json: this run has trained another network" in done.stderr
    assert results(home / "run") == before


def test_it_is_known_when_a_later_call_names_other_baselines(searched: Path) -> None:
    assert search(searched, "run", "--baseline", "none").returncode == 0
    done = run_cli("export", "run", "best", "--rank", 1, cwd=searched)
    assert done.returncode == 0, done.stderr
    assert "baseline my.nets.small" in done.stdout


def test_what_depends_on_the_number_of_classes_is_seen(home: Path) -> None:
    (home / "images").mkdir()
    for name in "abc":
        (home / "images" / name).mkdir()
        for k in range(8):
            pixels = np.full((8, 8, 3), 30 * k + ord(name) % 30, np.uint8)
            Image.fromarray(pixels).save(home / "images" / name / f"{k}.png")
    done = search(home, "run", "--dataset", "images", "--baseline", "my.nets:suddenly")
    assert done.returncode == 2
    assert "the network for 3 classes differs from that for 10 in more than" in done.stderr
    own = ("--batch-size", 4, "--images-per-epoch", 8)
    done = search(home, "run", "--dataset", "images", "--baseline", SPEC, *own)
    assert done.returncode == 0, done.stderr
    (record,) = Run(home / "run").records()
    assert record.outcome.parameters == 1442 - 7 * 17 + 2 * 9 * 8


def test_a_layer_that_is_not_used_is_left_out(home: Path) -> None:
    done = run_cli("convert", "my.nets:unused", "nets", "--dataset", "digits", cwd=home)
    assert done.returncode == 0, done.stderr
    assert search(home, "run", "--baseline", "nets/my.nets.unused").returncode == 0


EVIL = """
from pathlib import Path

Path(__file__).with_name("executed").touch()


def schedule(classes):
    return None
"""


@pytest.mark.parametrize("where", ["run.json", "record", "old run", "space", "bundle"])
def test_no_file_names_code(where: str, searched: Path) -> None:
    """Not even a function of a module that lies beside it."""
    home = searched
    (home / "evil.py").write_text(EVIL)
    commands: list[tuple[object, ...]] = [("resume", "run"), ("leaderboard", "run")]
    config = home / "run" / "run.json"
    if where == "run.json":
        config.write_text(config.read_text().replace("networks/my.nets.small", "evil:schedule"))
    if where in ("record", "old run"):
        old, new = (home / "run" / "baselines" / f"{n}.json" for n in ("my.nets.small", "evil:f"))
        new.write_text(old.read_text().replace('"my.nets.small"', '"evil:schedule"'))
        new.rename(new.with_name("evil:schedule.json"))
        for file in (home / "run" / "baselines").glob("my.nets.small*"):
            file.rename(str(file).replace("my.nets.small", "evil:schedule"))
        commands.append(("export", "run", "best", "--rank", 1))
    if where == "old run":
        value = json.loads(config.read_text())
        del value["request"]["baselines"]
        config.write_text(json.dumps({**value, "version": 4}))
    if where == "space":
        text = (ROOT / "search_spaces" / "quick.toml").read_text()
        start, _, rest = text.partition("baselines = ")
        (home / "own.toml").write_text(
            f'{start}baselines = ["evil:schedule"]\n{rest.partition(chr(10))[2]}'
        )
        commands = [("search", "own.toml", "--run", "other", "--trials", 0, *BUDGET)]
    if where == "bundle":
        assert run_cli("export", "run", "best", "--rank", 1, cwd=home).returncode == 0
        manifest = json.loads((home / "best" / "manifest.json").read_text())
        network = home / "best" / "network.json"
        network.write_text(network.read_text().replace("my.nets.small", "evil:schedule"))
        sum_ = hashlib.sha256(network.read_bytes()).hexdigest()
        manifest["files"]["network.json"]["sha256"] = sum_
        manifest["identity"] = "evil:schedule"
        (home / "best" / "manifest.json").write_text(json.dumps(manifest))
        commands = [("verify", "best", "--engine", engine) for engine in ("gluon", "torch")]
        commands.append(("convert", "best", "nets"))
    for arguments in commands:
        done = run_cli(*arguments, cwd=home)
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr
        assert not (home / "executed").exists(), arguments


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
        ("my.nets:wide", "0 classes and 22 for 11: the number itself is expected"),
        ("my.nets:orthogonal", "my.nets:orthogonal: 0.weight: unknown initializer 'orthogonal'"),
        ("my.nets:scaled", "the shape of its parameter 7.scale cannot be inferred"),
        ("my.nets:dies", "my.nets:dies: the process that writes its graph ended by SIGKILL"),
        ("my.nets:leaves", "my.nets:leaves: leaves(classes=10) raised SystemExit: bye"),
        (f"{SPEC}:pretrained", "a function makes a network without trained parameters"),
        ("sys:nothing", "baseline sys:nothing: sys (built in) has no function nothing"),
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
