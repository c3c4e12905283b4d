"""Retraining: fresh seeds, what the manifest says of them, and going on after an interruption."""

from __future__ import annotations

import json
import re
import shutil
import signal
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import killed_at, last_words, run_cli, started, wait_for
from helpers.engines import ENGINES

from nas_incep.engines.weights import read_weights
from nas_incep.errors import InputError
from nas_incep.export.bundle import choose, open_bundle
from nas_incep.records import from_json
from nas_incep.results.run import Run

SMALL = ("--epochs", 2, "--batch-size", 32, "--images-per-epoch", 320, "--device", "cpu")


def manifest(bundle: Path) -> dict[str, Any]:
    return json.loads((bundle / "manifest.json").read_text())


def test_the_best_network_is_trained_with_fresh_seeds(finished_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "longer"
    arguments = (*SMALL, "--epochs", 3, "--seeds", 2, "--lr", 0.004, "--report-test")
    arguments += ("--momentum", 0.8, "--deterministic")
    done = run_cli("retrain", finished_run, target, *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    said, kept = json.loads(done.stdout), manifest(target)
    run = Run(finished_run)
    best = choose(run, run.config())
    assert kept["identity"] == best.subject.name == said["identity"]
    assert kept["recipe"]["learning_rate"] == 0.004 and kept["recipe"]["epochs"] == 3
    assert kept["recipe"]["momentum"] == 0.8
    assert kept["engine"] == "gluon" and kept["data"]["trained_on"] == "train"
    assert not kept["accuracy"]["validation_seen_in_training"]

    found = kept["retraining"]
    seeds = [result["seed"] for result in found["seeds"]]
    assert len({*seeds, best.subject.seed}) == 3
    assert kept["trial"]["seed"] == seeds[0]
    accuracies = [result["validation"] for result in found["seeds"]]
    assert kept["accuracy"]["validation"] == accuracies[0] != accuracies[1]
    assert found["mean"] == pytest.approx(statistics.mean(accuracies))
    assert found["deviation"] == pytest.approx(statistics.stdev(accuracies))
    assert said["retraining"] == found

    looks = (target / "test_evaluations.jsonl").read_text().splitlines()
    assert [json.loads(line)["accuracy"] for line in looks] == [said["test"]["accuracy"]]
    checked = run_cli("verify", target, "--device", "cpu")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "seen in training" not in checked.stdout
    assert sorted(path.name for path in target.parent.iterdir()) == ["longer"]


def test_an_interrupted_retraining_goes_on_and_gives_the_same(bundle: Path, tmp_path: Path) -> None:
    """Of all images, the validation part among them; its accuracy is told as what it is."""
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    arguments = ("--epochs", 2, "--images-per-epoch", 5000, "--seeds", 2, "--device", "cpu")
    arguments += ("--train-on", "train+validation")
    command = [sys.executable, "-m", "nas_incep", "retrain", bundle, stopped, *arguments]
    with started([str(word) for word in command]) as process:
        wait_for(process, r"retraining 2 of trial \d+ \[Epoch 1\]")
        process.send_signal(signal.SIGINT)
        assert "stopped: stopped; finished epochs are kept" in last_words(process, 130)
    assert not stopped.exists()
    (first,) = (tmp_path / "stopped.retraining" / "retraining").glob("*~1.json")
    # Whole batches of 1,500 images, of which 300 are the validation part's.
    images = {p.images for p in from_json(json.loads(first.read_text()), "it").outcome.curve}
    assert images == {1472}

    resumed = run_cli("retrain", bundle, stopped, *arguments)
    assert resumed.returncode == 0, resumed.stderr
    assert "retraining 1" not in resumed.stderr
    assert "[Epoch 2]" in resumed.stderr
    assert "seed 2: validation accuracy (images seen in training) 0." in resumed.stdout
    assert run_cli("retrain", bundle, whole, *arguments).returncode == 0
    assert (whole / "weights.params").read_bytes() == (stopped / "weights.params").read_bytes()
    assert manifest(whole)["retraining"] == manifest(stopped)["retraining"]

    kept = manifest(whole)
    assert kept["data"]["trained_on"] == "train+validation"
    assert kept["accuracy"]["validation_seen_in_training"] is True
    assert kept["preprocessing"] == manifest(bundle)["preprocessing"]
    checked = run_cli("verify", whole, "--device", "cpu")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "(300 images; seen in training): verified" in checked.stdout
    assert "so the accuracy on them says nothing" in (whole / "README.md").read_text()
    shown = run_cli("evaluate", whole, "--device", "cpu")
    assert "of 300 images seen in training)" in shown.stdout
    assert not (whole / "test_evaluations.jsonl").exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_training_from_parameters_begins_where_they_are(
    engine: str, finished_run: Path, bundle: Path, tmp_path: Path
) -> None:
    """At a rate near zero nothing changes; of two seeds only the batches differ."""
    arguments = (*SMALL, "--start", "parameters", "--engine", engine, "--seeds", 2)
    still, on = tmp_path / "still", tmp_path / "on"
    # Adam's step is as long as the rate, whatever the gradient.
    done = run_cli("retrain", finished_run, still, *arguments, "--lr", 1e-9)
    assert done.returncode == 0, done.stderr
    before, after = (open_bundle(path) for path in (bundle, still))
    old, new = (read_weights(b.architecture, b.weights_path) for b in (before, after))
    for name in old:
        if "running" not in name:  # the statistics follow the batches
            assert np.allclose(old[name], new[name], atol=1e-6), name
    started = manifest(still)["retraining"]["started_from"]
    digest = manifest(bundle)["files"]["weights.params"]["sha256"]
    assert started == {"sha256": digest, "epochs": before.manifest.accuracy.epochs}
    said = done.stdout.splitlines()[-1]
    assert f"2 epochs after {started['epochs']} on train" in said
    losses = re.findall(r"\[Epoch 1\].* loss=(\S+)", done.stderr)
    assert len(set(losses)) == 2

    assert run_cli("retrain", still, on, *arguments, "--lr", 0.001).returncode == 0
    assert manifest(on)["retraining"]["started_from"]["epochs"] == started["epochs"] + 2
    assert f"from parameters of {started['epochs'] + 2} epochs" in (on / "README.md").read_text()
    checked = run_cli("verify", on, "--device", "cpu", "--engine", engine)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_stopped_training_from_parameters_goes_on_and_gives_the_same(
    bundle: Path, tmp_path: Path
) -> None:
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    arguments = (*SMALL, "--epochs", 3, "--images-per-epoch", 1184, "--start", "parameters")
    command = [sys.executable, "-m", "nas_incep", "retrain", bundle, stopped, *arguments]
    with started([str(word) for word in command]) as process:
        wait_for(process, r"\[Epoch 2\]")
        process.kill()
    scratch = run_cli("retrain", bundle, stopped, *arguments, "--start", "scratch")
    assert scratch.returncode == 2 and "(started_from was {'sha256'" in scratch.stderr
    resumed = run_cli("retrain", bundle, stopped, *arguments)
    assert resumed.returncode == 0 and "[Epoch 1]" not in resumed.stderr, resumed.stderr
    assert run_cli("retrain", bundle, whole, *arguments).returncode == 0
    assert (whole / "weights.params").read_bytes() == (stopped / "weights.params").read_bytes()
    assert manifest(whole)["retraining"] == manifest(stopped)["retraining"]


def test_parameters_that_are_gone_or_have_seen_too_much_are_refused(
    finished_run: Path, copy: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished_run, tmp_path / "run"))
    for path in run.glob("trials/*.params"):
        path.unlink()
    arguments = ("new", "--epochs", 1, "--start", "parameters", "--device", "cpu")
    gone = run_cli("retrain", run, *arguments, cwd=tmp_path)
    assert gone.returncode == 2
    assert ".params is gone: a run keeps the parameters of its best candidates" in gone.stderr
    said = manifest(copy)
    said["data"]["trained_on"] = "train+validation"
    said["accuracy"]["validation_seen_in_training"] = True
    (copy / "manifest.json").write_text(json.dumps(said))
    seen = run_cli("retrain", copy, *arguments, cwd=tmp_path)
    assert seen.returncode == 2
    assert "have seen the validation images" in seen.stderr
    assert not (tmp_path / "new").exists() and not (tmp_path / "new.retraining").exists()


def test_a_kill_at_any_moment_loses_nothing(
    table_run: Path, table: tuple[str, str], tmp_path: Path
) -> None:
    """Over a table, which answers at once; each call but the last one dies at some write."""
    target = tmp_path / "it"
    arguments = [str(x) for x in ("retrain", table_run, target, "--epochs", 4, "--seeds", 2)]
    for moment in range(1, 40):
        if not killed_at(1 + moment % 3, ("before", "after")[moment % 2], [*arguments, *table]):
            break
    else:
        raise AssertionError("it never ends")
    assert moment > 3
    assert len(open_bundle(target).manifest.retraining.seeds) == 2
    # A killed export leaves its incomplete folder, too.
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["it"]


def test_another_retraining_does_not_go_on_with_the_work(
    table_run: Path, slow_table: tuple[str, str], tmp_path: Path
) -> None:
    arguments = ["retrain", table_run, tmp_path / "it", "--epochs", 20, *slow_table]
    command = [sys.executable, "-m", "nas_incep", *map(str, arguments)]
    with started(command) as process:
        wait_for(process, r"\[Epoch 1\]")
        both = run_cli(*arguments)
    assert both.returncode == 2
    assert "it.retraining: another process is retraining here" in both.stderr
    other = run_cli(*arguments, "--wd", 0.1)
    assert other.returncode == 2
    assert "it.retraining holds another retraining (recipe.name was 'brief with" in other.stderr
    assert "; recipe.weight_decay was 0.0005, now 0.1): repeat its command" in other.stderr
    other = run_cli(*arguments, "--deterministic")
    assert other.returncode == 2
    assert "(deterministic was False, now True)" in other.stderr


def test_a_retrained_bundle_can_be_trained_again_with_seeds_of_its_own(
    table_run: Path, table: tuple[str, str], tmp_path: Path
) -> None:
    paths = [table_run, tmp_path / "one", tmp_path / "two"]
    for source, target in zip(paths, paths[1:]):
        done = run_cli("retrain", source, target, "--epochs", 5, "--seeds", 3, *table)
        assert done.returncode == 0, done.stderr
    first, second = manifest(paths[1]), manifest(paths[2])
    seeds = [s["seed"] for one in (first, second) for s in one["retraining"]["seeds"]]
    assert len(set(seeds)) == 6
    assert first["identity"] == second["identity"]
    assert first["engine"] == table[1]


def test_the_looks_at_the_test_set_outlive_a_forced_retraining(
    table_run: Path, table: tuple[str, str], copy: Path
) -> None:
    log = copy / "test_evaluations.jsonl"
    log.write_text("{}\n")
    done = run_cli("retrain", table_run, copy, "--epochs", 2, "--trial", 0, "--force", *table)
    assert done.returncode == 0, done.stderr
    assert log.read_text() == "{}\n"
    assert manifest(copy)["trial"]["number"] == 0


def test_a_training_that_fails_is_not_left_out_of_the_mean(bundle: Path, tmp_path: Path) -> None:
    target = tmp_path / "it"
    arguments = (*SMALL, "--optimizer", "sgd", "--lr", 1e30, "--wd", 0)
    done = run_cli("retrain", bundle, target, *arguments)
    assert done.returncode == 3
    assert "retraining 1 of trial" in done.stderr and "diverged" in done.stderr
    assert not target.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{run}", "{bundle}"), "{bundle}: exists; --force replaces a bundle there"),
        (("{run}", "{run}", "--force"), "{run}: exists and is not a bundle"),
        (("{bundle}", "new", "--rank", 1), "--rank: {bundle} is a bundle, which has one network"),
        (("{run}", "new", "--rank", 99), "has ranks 1 to 5, not 99"),
        (("{run}", "new", "--rank", 1, "--trial", 1), "only one of them can be given"),
        (("{folder}", "new"), "{folder}: a run or a bundle is expected"),
        (("{run}", "new", "--precision", "float8"), "float8"),
        (("{run}", "new", "--recipe", "slow"), "'slow' is not one of brief"),
    ],
)
def test_what_cannot_be_retrained_is_said(
    arguments: tuple[object, ...], message: str, bundle: Path, finished_run: Path, tmp_path: Path
) -> None:
    places = {"bundle": bundle, "run": finished_run, "folder": tmp_path}
    given = [str(word).format(**places) for word in arguments]
    done = run_cli("retrain", *given, "--epochs", 1, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 2
    assert message.format(**places) in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_manifest_that_contradicts_itself_is_refused(copy: Path) -> None:
    said = manifest(copy)
    said["data"]["trained_on"] = "train+validation"
    (copy / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match="validation_seen_in_training contradicts"):
        open_bundle(copy)
    said["data"]["trained_on"] = "all"
    (copy / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(InputError, match="trained_on is 'all'"):
        open_bundle(copy)


def test_a_bundle_of_the_first_version_opens(copy: Path) -> None:
    said = manifest(copy)
    del said["retraining"], said["data"]["trained_on"]
    del said["accuracy"]["validation_seen_in_training"]
    (copy / "manifest.json").write_text(json.dumps({**said, "version": 1}))
    assert open_bundle(copy).manifest.retraining is None


def test_a_link_in_place_of_the_work_is_not_followed(
    table_run: Path, table: tuple[str, str], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "it.retraining").symlink_to(elsewhere)
    done = run_cli("retrain", table_run, tmp_path / "it", "--epochs", 2, *table)
    assert done.returncode == 2
    assert "it.retraining: a folder is expected, this is a link" in done.stderr
    assert not list(elsewhere.iterdir())
    shutil.rmtree(elsewhere)
