"""A bundle on another engine than the one that trained it: the scores agree, or that is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from helpers.commands import meddled, run_cli
from helpers.engines import ENGINES, WITHOUT_MXNET, WITHOUT_TORCH

from nas_incep.engines.torch.engine import TorchEngine
from nas_incep.export.bundle import open_bundle
from nas_incep.export.verification import Verification, verify


def trained_by(engine: str, bundle: Path, folder: Path) -> Path:
    """A copy of the bundle that names another engine."""
    copy = folder / engine
    shutil.copytree(bundle, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "engine": engine}))
    return copy


@pytest.mark.parametrize(("engine", "other"), [("gluon", "torch"), ("torch", "gluon")])
def test_scores_of_both_engines_are_compared(
    engine: str, other: str, bundle: Path, tmp_path: Path
) -> None:
    copy = trained_by(engine, bundle, tmp_path)
    done = run_cli("verify", copy, "--engine", other, "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["engine"], found["trained_by"], found["verified"]) == (other, engine, True)
    assert 0 < found["scores"]["difference"] < 1e-5


def test_the_difference_is_printed_beside_the_accuracies(bundle: Path) -> None:
    done = run_cli("verify", bundle, "--engine", "torch")
    assert done.returncode == 0, done.stderr
    assert " by torch, recorded " in done.stdout
    assert "(300 images; scores differ from gluon's by at most " in done.stdout
    assert done.stdout.endswith(" of the largest): verified\n")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_that_computed_is_named(engine: str, bundle: Path, tmp_path: Path) -> None:
    copy = trained_by(engine, bundle, tmp_path)
    done = run_cli("evaluate", copy)
    assert done.returncode == 0, done.stderr
    assert f" by {engine} (" in done.stdout
    done = run_cli("evaluate", copy, "--format", "json")
    assert json.loads(done.stdout)["engine"] == engine
    done = run_cli("verify", copy, "--format", "json")
    found = json.loads(done.stdout)
    assert (found["engine"], found["trained_by"], found["scores"]) == (engine, engine, None)


def verified(bundle: Path) -> Verification:
    return verify(open_bundle(bundle), "torch", None, "cpu", lambda engine: None)


def test_other_scores_of_the_same_accuracy_are_not_verified(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verified(bundle).holds
    forward = TorchEngine.forward

    def scaled(self: TorchEngine, *arguments: Any) -> Any:
        outputs = forward(self, *arguments)
        return lambda images: outputs(images) * np.float32(1.001)

    monkeypatch.setattr(TorchEngine, "forward", scaled)
    result = verified(bundle)
    assert result.measured == result.recorded
    assert result.scores and result.scores.difference == pytest.approx(1e-3, rel=0.01)
    assert not result.holds


@pytest.mark.parametrize(
    ("engine", "other", "without", "said"),
    [
        ("gluon", "torch", WITHOUT_MXNET, "gluon's: MXNet is not installed)"),
        ("torch", "gluon", WITHOUT_TORCH, "torch's: PyTorch is not installed)"),
    ],
)
def test_where_the_other_framework_is_missing_scores_are_not_compared(
    engine: str, other: str, without: str, said: str, bundle: Path, tmp_path: Path
) -> None:
    copy = trained_by(engine, bundle, tmp_path)
    alone = meddled(tmp_path, without)
    done = run_cli("verify", copy, "--engine", other, env=alone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"scores not compared with {said}: verified" in done.stdout
