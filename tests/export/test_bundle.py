"""Export, verification, reloading: what comes back, and what is said when it cannot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import run_cli
from helpers.records import a_config, changed, record, version_3

import nas_incep
from nas_incep import datasets as data
from nas_incep._files import write_json
from nas_incep.errors import InputError
from nas_incep.export.bundle import choose, open_bundle
from nas_incep.records import COMPLETE
from nas_incep.results.run import Run


def change_manifest(path: Path, **changes: Any) -> None:
    file = path / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_the_bundle_is_of_the_best_candidate(bundle: Path, finished_run: Path) -> None:
    rows = json.loads(run_cli("leaderboard", finished_run, "--format", "json").stdout)
    best = next(row for row in rows if row["kind"] == "candidate")
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["identity"] == best["name"]
    assert manifest["accuracy"]["validation"] == best["val_accuracy"]
    assert sorted(path.name for path in bundle.iterdir()) == [
        "README.md",
        "architecture.json",
        "manifest.json",
        "weights.params",
    ]


def test_architecture_json_describes_itself(bundle: Path) -> None:
    value = json.loads((bundle / "architecture.json").read_text())
    assert all(len(block) == 7 for block in value["blocks"])
    facts = json.loads(run_cli("describe", bundle / "architecture.json", "--format", "json").stdout)
    assert facts["identity"] == json.loads((bundle / "manifest.json").read_text())["identity"]


def test_verify_measures_the_recorded_accuracy(bundle: Path) -> None:
    done = run_cli("verify", bundle, "--device", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verified" in done.stdout


def test_verify_fails_where_the_accuracy_does_not_come_back(copy: Path) -> None:
    accuracy = json.loads((copy / "manifest.json").read_text())["accuracy"]
    change_manifest(copy, accuracy={**accuracy, "validation": accuracy["validation"] - 0.02})
    done = run_cli("verify", copy, "--device", "cpu")
    assert done.returncode == 1
    assert f"{accuracy['validation']:.6f}" in done.stdout
    assert f"{accuracy['validation'] - 0.02:.6f}" in done.stdout


def test_a_flipped_bit_in_the_weights_is_found(copy: Path) -> None:
    weights = bytearray((copy / "weights.params").read_bytes())
    weights[len(weights) // 2] ^= 1
    (copy / "weights.params").write_bytes(weights)
    for command, status in (("verify", 1), ("evaluate", 2)):
        done = run_cli(command, copy)
        assert done.returncode == status
        assert "weights.params: damaged" in done.stdout + done.stderr
        assert "expects" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["architecture.json", "weights.params", "manifest.json"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        open_bundle(copy)


def test_a_manifest_without_a_field_says_which(copy: Path) -> None:
    change_manifest(copy, preprocessing={})
    with pytest.raises(InputError, match=r"preprocessing\.mean is missing"):
        open_bundle(copy)


def test_weights_of_another_architecture_are_refused(copy: Path) -> None:
    """Sums that hold do not make two files belong together."""
    from nas_incep._files import sha256
    from nas_incep.architecture import from_json

    other = from_json({**json.loads((copy / "architecture.json").read_text()), "batch_norm": False})
    if other.identity == json.loads((copy / "manifest.json").read_text())["identity"]:
        other = from_json({**other.to_json(), "batch_norm": True})
    (copy / "architecture.json").write_text(json.dumps(other.to_json()))
    files = json.loads((copy / "manifest.json").read_text())["files"]
    files["architecture.json"]["sha256"] = sha256(copy / "architecture.json")
    change_manifest(copy, files=files, identity=other.identity)
    with pytest.raises(InputError, match="does not fit its architecture"):
        nas_incep.load(copy)


def test_other_data_are_refused_by_their_fingerprint(copy: Path) -> None:
    recorded = json.loads((copy / "manifest.json").read_text())["data"]
    change_manifest(copy, data={**recorded, "fingerprint": "0" * 16})
    done = run_cli("evaluate", copy)
    assert done.returncode == 2
    assert recorded["fingerprint"] in done.stderr and "0" * 16 in done.stderr


def test_load_gives_the_trained_network(bundle: Path) -> None:
    """The validation accuracy by hand, from the loaded network and the manifest alone."""
    from nas_incep.engines.gluon.runtime import mx

    network = nas_incep.load(bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    images = data.load("digits").validation
    mean = np.array(manifest["preprocessing"]["mean"]).reshape(1, -1, 1, 1)
    std = np.array(manifest["preprocessing"]["std"]).reshape(1, -1, 1, 1)
    out = network(mx.nd.array((images.images / 255 - mean) / std)).asnumpy()
    accuracy = float((out.argmax(axis=1) == images.labels).mean())
    assert accuracy == pytest.approx(manifest["accuracy"]["validation"], abs=1.5 / len(out))


def test_the_weights_load_with_gluon_alone(bundle: Path) -> None:
    """MXNet reads the file by itself, under names that follow the structure of the network."""
    from nas_incep.engines.gluon.runtime import mx

    arrays = mx.nd.load(str(bundle / "weights.params"))
    trainable = sum(a.size for name, a in arrays.items() if "running" not in name)
    assert trainable == open_bundle(bundle).architecture.parameters
    assert all(name.startswith(("features.0.", "output.0.")) for name in arrays)


def test_the_test_split_is_opened_only_on_request_and_each_look_is_noted(
    copy: Path, finished_run: Path
) -> None:
    log = copy / "test_evaluations.jsonl"
    done = run_cli("evaluate", copy, "--format", "json")
    assert json.loads(done.stdout)["images"] == 300
    assert not log.exists()
    for looks in (1, 2):
        done = run_cli("evaluate", copy, "--split", "test", "--format", "json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["images"] == 297
        lines = log.read_text().splitlines()
        assert len(lines) == looks
        assert json.loads(lines[-1])["accuracy"] == json.loads(done.stdout)["accuracy"]
    # Another export to the same place does not wipe out that the test set was looked at.
    assert run_cli("export", finished_run, copy, "--force").returncode == 0
    assert len(log.read_text().splitlines()) == 2


def test_export_by_rank_and_by_trial(finished_run: Path, tmp_path: Path) -> None:
    rows = json.loads(run_cli("leaderboard", finished_run, "--format", "json").stdout)
    for row in rows:
        target = tmp_path / f"rank{row['rank']}"
        done = run_cli("export", finished_run, target, "--rank", row["rank"])
        assert done.returncode == 0, done.stderr
        assert open_bundle(target).manifest.identity == row["name"]
        if row["kind"] == "candidate":
            by_trial = tmp_path / f"trial{row['trial']}"
            run_cli("export", finished_run, by_trial, "--trial", row["trial"])
            assert (by_trial / "weights.params").read_bytes() == (
                target / "weights.params"
            ).read_bytes()


def a_run(path: Path, objective: str | None) -> Run:
    """A run of three complete candidates and a baseline: (accuracy, MACs) of each."""
    run = Run(path)
    if objective is None:  # a run from before there were several
        value = version_3(a_config())
        del value["search"]["objective"], value["request"]
        write_json(run.config_path, value)
    else:
        run.begin(a_config(objective=objective))
    for trial, accuracy, macs in ((0, 0.9, 60), (1, 0.8, 20), (2, 0.7, 10), (None, 0.95, 50)):
        one = changed(record(trial, COMPLETE, accuracy), macs=macs)
        run.entry(one.subject).write(one)
    return run


@pytest.mark.parametrize(
    ("objective", "trials"),
    # The baseline, None, beats trial 0 in both, so that is not on the front.
    [(None, [None, 0, 1, 2]), ("accuracy", [None, 0, 1, 2]), ("accuracy,macs", [None, 1, 2, 0])],
)
def test_a_rank_is_that_of_the_runs_objectives(
    objective: str | None, trials: list[int | None], tmp_path: Path
) -> None:
    run = a_run(tmp_path / "run", objective)
    config = run.config()
    for rank, trial in enumerate(trials, 1):
        assert choose(run, config, rank=rank).subject.trial == trial
        if trial is not None:
            assert choose(run, config, trial=trial).subject.trial == trial
    assert (
        choose(run, config).subject.trial == 0
    )  # the most accurate candidate, whatever the objectives


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rank", 99], "has ranks 1 to 5, not 99"),
        (["--trial", 99], "has no trained trial 99"),
        (["--rank", 1, "--trial", 1], "only one of them"),
    ],
)
def test_what_cannot_be_exported_is_said(
    arguments: list[object], message: str, finished_run: Path, tmp_path: Path
) -> None:
    done = run_cli("export", finished_run, tmp_path / "b", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "b").exists()


def test_export_replaces_a_bundle_only_by_force_and_nothing_else_at_all(
    finished_run: Path, copy: Path, tmp_path: Path
) -> None:
    assert run_cli("export", finished_run, copy).returncode == 2
    assert run_cli("export", finished_run, copy, "--force").returncode == 0
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("x")
    done = run_cli("export", finished_run, precious, "--force")
    assert done.returncode == 2
    assert (precious / "thesis.txt").read_text() == "x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "precious"]


def test_export_says_so_when_the_parameters_are_gone(finished_run: Path, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(finished_run, tmp_path / "run")))
    for path in run.path.glob("trials/*.params"):
        path.unlink()
    done = run_cli("export", run.path, tmp_path / "b")
    assert done.returncode == 2
    assert "is gone" in done.stderr
