"""Baselines are built on the data's shape before a search trains anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.commands import run_cli
from helpers.engines import ENGINES

from nas_incep.engines import load_engine
from nas_incep.engines.specs import canonical_baseline
from nas_incep.errors import InputError
from nas_incep.results.run import Run

DIGITS = (1, 8, 8)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("spec", ["squeezenet1.1", "alexnet@32", "vgg11"])
def test_a_baseline_that_does_not_fit_names_the_least_size_that_would(name: str, spec: str) -> None:
    engine = load_engine(name)
    with pytest.raises(InputError, match=rf"baseline {spec} does not fit images of 1x8x8: ") as e:
        engine.check_baseline(spec, 10, DIGITS)
    assert "\n" not in str(e.value) and "src/" not in str(e.value)
    fitting = str(e.value).rpartition("; ")[2].partition(" would fit")[0]
    network, _, size = fitting.partition("@")
    assert network == spec.partition("@")[0]
    assert engine.check_baseline(fitting, 10, DIGITS)
    with pytest.raises(InputError, match="does not fit"):
        engine.check_baseline(f"{network}@{int(size) - 1}", 10, DIGITS)


@pytest.mark.parametrize("name", ENGINES)
def test_a_search_refuses_a_baseline_that_does_not_fit_and_writes_nothing(
    name: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    base = ["search", "quick", "--device", "cpu", "--engine", name, "--run", run]
    done = run_cli(*base, "--baseline", "cifar_resnet20_v1", "--baseline", "vgg11")
    assert done.returncode == 2
    assert "baseline vgg11 does not fit images of 1x8x8" in done.stderr
    assert "vgg11@32 would fit" in done.stderr
    assert not run.exists()


@pytest.mark.parametrize(
    ("spec", "canonical"),
    [
        ("inceptionv3", "inception3"),
        ("Inception3@299", "inception3"),
        ("INCEPTIONV3@75", "inception3@75"),
        ("ResNet18_v1", "resnet18_v1"),
    ],
)
def test_a_network_has_one_name(spec: str, canonical: str) -> None:
    assert canonical_baseline(spec) == canonical


@pytest.mark.parametrize("name", ENGINES)
def test_networks_are_the_same_by_their_graphs_not_their_names(name: str) -> None:
    engine = load_engine(name)

    def text(spec: str, shape: tuple[int, int, int] = DIGITS) -> str:
        return engine.check_baseline(spec, 10, shape).signature

    assert text("cifar_resnet20_v1") == text("cifar_resnet20_v1@8")
    assert text("cifar_resnet20_v1") != text("cifar_resnet20_v1@16")
    assert text("cifar_resnet20_v1") != text("cifar_resnet20_v2")


def test_a_network_named_twice_is_trained_once(tmp_path: Path) -> None:
    """With two workers, both trained it, in one folder of checkpoints."""
    run = tmp_path / "run"
    names = ("cifar_resnet20_v1", "CIFAR_ResNet20_v1", "cifar_resnet20_v1@8")
    done = run_cli(
        *("search", "quick", "--dataset", "digits", "--device", "cpu", "--run", run),
        *("--trials", 1, "--epochs", 1, "--images-per-epoch", 64, "--batch-size", 32),
        *("--workers", 2, *(word for name in names for word in ("--baseline", name))),
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (run / "baselines").glob("*.json")] == ["cifar_resnet20_v1.json"]
    said = "baseline cifar_resnet20_v1@8 is the same network as cifar_resnet20_v1: it is trained"
    assert said in done.stdout + done.stderr


OWN = "cifar_resnet20_v1:optimizer=adam,lr=0.002"


def test_a_baseline_has_settings_of_its_own(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = run_cli(
        *("search", "quick", "--dataset", "digits", "--device", "cpu", "--run", run),
        *("--trials", 1, "--epochs", 1, "--images-per-epoch", 64, "--batch-size", 32, "--lr", 0.05),
        *(
            "--baseline",
            "cifar_resnet20_v1",
            "--baseline",
            "CIFAR_resnet20_v1:lr=.002,optimizer=adam",
        ),
    )
    assert done.returncode == 0, done.stderr
    records = {r.subject.name: r for r in Run(run).records()}
    own, common = records[OWN], records["cifar_resnet20_v1"]
    assert own.recipe.name == "brief with batch_size=32, lr=0.002"
    assert (own.recipe.optimizer, own.recipe.learning_rate) == ("adam", 0.002)
    # In proportion to its weights, 0.0630, where the recipe's rate is for 0.15.
    assert (common.recipe.optimizer, common.recipe.learning_rate) == ("adam", 0.021)
    assert "baseline cifar_resnet20_v1: learning rate 0.021, because" in done.stderr
    assert "learning rates of baselines: cifar_resnet20_v1 0.021" in done.stdout
    assert own.recipe.epochs == common.recipe.epochs == 1
    assert own.outcome.curve[0].loss != common.outcome.curve[0].loss
    assert OWN in done.stdout


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("", "setting '': pretrained or NAME=VALUE is expected, once for each of optimizer, lr"),
        ("lr", "setting 'lr': pretrained or NAME=VALUE is expected"),
        ("schedule", "setting 'schedule': pretrained or NAME=VALUE is expected"),
        ("lr=", "setting lr='': a number is expected"),
        ("lr=fast", "setting lr='fast': a number is expected"),
        ("lr=0", "setting lr=0.0: a positive number is expected"),
        ("lr=nan", "learning_rate is nan"),
        ("lr=1,lr=2", "once for each of"),
        ("epochs=9,lr=1", "setting 'epochs=9'"),
        ("optimizer=adam", "setting optimizer=adam: its learning rate, lr, is missing"),
        ("optimizer=lion,lr=1", "optimizer is 'lion': one of"),
        ("momentum=2", "momentum is 2.0"),
    ],
)
def test_wrong_settings_of_a_baseline_are_refused(tmp_path: Path, settings: str, said: str) -> None:
    run = tmp_path / "run"
    spec = f"inception3@75:{settings}"
    done = run_cli("search", "quick", "--device", "cpu", "--run", run, "--baseline", spec)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not run.exists()
