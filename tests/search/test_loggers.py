"""Trainings in TensorBoard and MLflow, as their own readers see them."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import OPTIONS, Options, command, run_cli, started, wait_for
from helpers.records import record as a_record

import nas_incep
from nas_incep.errors import InputError
from nas_incep.records import COMPLETE, UNTRAINED, TrialRecord
from nas_incep.results.run import Run
from nas_incep.search.start import plan_resume, plan_search

HAS_MLFLOW = importlib.util.find_spec("mlflow") is not None  # it needs Python 3.10
needs_mlflow = pytest.mark.skipif(not HAS_MLFLOW, reason="MLflow is not installed")

Curves = dict[str, list[tuple[int, float]]]  # by label: the epochs with their accuracies


@pytest.fixture(scope="module")
def run(tiny_space: Path, table: Options, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was killed in its second training, and then resumed with finals."""
    path = tmp_path_factory.mktemp("runs") / "logged"
    loggers = ("--logger", "tensorboard", *(("--logger", "MLflow") if HAS_MLFLOW else ()))
    options = ("--workers", 0, "--trials", 9, "--pruner", "median")
    with started(command(tiny_space, path, *options, *table, *loggers)) as process:
        wait_for(process, r"trial 1 \[Epoch 1\]")
    assert len(Run(path).records()) < 9
    done = run_cli("resume", path, "--workers", 0, "--finals", 0.3)
    assert done.returncode == 0, done.stderr
    return Run(path)


def logged(run: Run) -> list[TrialRecord]:
    records = [*run.records(), *run.reruns()]
    return [record for record in records if record.outcome.state not in UNTRAINED]


def recorded(run: Run) -> Curves:
    return {
        r.subject.label: [
            (p.epoch, pytest.approx(p.val_accuracy, abs=1e-6)) for p in r.outcome.curve
        ]
        for r in logged(run)
    }


def test_tensorboard_reads_each_epoch_once(run: Run) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

        read = {
            folder.name: EventAccumulator(str(folder)).Reload()
            for folder in (run.path / "tensorboard").iterdir()
        }
    curves = {
        label: [(point.step, point.value) for point in found.Scalars("accuracy/validation")]
        for label, found in read.items()
    }
    assert curves == recorded(run)
    assert any(label.startswith("finals 1 of trial ") for label in curves)
    for record in logged(run):
        found, complete = read[record.subject.label], record.outcome.state == "complete"
        assert ("final/accuracy" in found.Tags()["scalars"]) == complete
        data = HParamsPluginData()
        data.ParseFromString(
            found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        )
        values = data.session_start_info.hparams
        assert values["network"].string_value == record.subject.name
        assert values["parameters"].number_value == record.outcome.parameters
        assert values["recipe.learning_rate"].number_value == record.recipe.learning_rate


@needs_mlflow
def test_mlflow_reads_each_epoch_once(run: Run) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{run.path / 'mlruns' / 'mlflow.db'}")
        experiment = client.get_experiment_by_name(run.config().study.name)
        found: dict[str, Any] = {
            one.info.run_name: one for one in client.search_runs([experiment.experiment_id])
        }
        curves = {
            label: [
                (point.step, point.value)
                for point in client.get_metric_history(one.info.run_id, "accuracy/validation")
            ]
            for label, one in found.items()
        }
    assert curves == recorded(run)
    for record in logged(run):
        one, complete = found[record.subject.label], record.outcome.state == "complete"
        assert one.info.status == ("FINISHED" if complete else "KILLED")
        assert one.data.tags["state"] == record.outcome.state
        final = one.data.metrics.get("final/accuracy")
        assert final == (record.val_accuracy if complete else None)
        assert one.data.params["network"] == record.subject.name
        assert one.data.params["recipe.epochs"] == str(record.recipe.epochs)


@needs_mlflow
def test_searches_may_share_an_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'shared.db'}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "shared")
    one = dataclasses.replace(a_record(3, COMPLETE, 0.5), finished="2026-11-29T00:00:00.000+00:00")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        from nas_incep.search.mlflow import MLflowLogger

        MLflowLogger("first", tmp_path).end(one)
        assert MLflowLogger("first", tmp_path).has(one)
        assert not MLflowLogger("second", tmp_path).has(one)
        MLflowLogger("second", tmp_path).end(one)
        client = MlflowClient()
        (experiment,) = (e for e in client.search_experiments() if e.name == "shared")
        runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["nas_incep.search"] for run in runs) == ["first", "second"]


@needs_mlflow
@pytest.mark.parametrize("server", ["nowhere://server", "http://127.0.0.1:9"])
def test_a_log_that_cannot_be_written_does_not_end_a_search(
    server: str, tiny_space: Path, table: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it delay one for long: MLflow itself would try for minutes."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    options = ("--run", tmp_path / "r", "--trials", 1, "--workers", 0, *OPTIONS, *table)
    done = run_cli("search", tiny_space, *options, "--logger", "mlflow", env=None)
    assert done.returncode == 0, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("--logger mlflow: ")]
    assert "the search goes on without it, and a later call" in said
    assert len(Run(tmp_path / "r").records()) == 1
    assert plan_resume(tmp_path / "r").request.loggers == ("mlflow",)
    assert plan_resume(tmp_path / "r", logger="none").request.loggers == ()


@needs_mlflow
@pytest.mark.parametrize("name", ["a?b", "a%20b"])
def test_a_path_that_no_database_can_have_is_told(
    name: str, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    options = ("--run", tmp_path / name, "--trials", 1, "--workers", 0, *OPTIONS, *table)
    done = run_cli("search", tiny_space, *options, "--logger", "mlflow")
    assert done.returncode == 0, done.stderr
    assert f"{name}/mlruns: a path without ? and % is expected" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_names_of_loggers(tiny_space: Path, tmp_path: Path) -> None:
    plan = plan_search(tiny_space, tmp_path / "r", engine="gluon", logger="TensorBoard")
    assert plan.request.loggers == ("tensorboard",)
    with pytest.raises(InputError, match="--logger none: stands alone, not beside none, mlflow"):
        plan_search(tiny_space, tmp_path / "r", engine="gluon", logger=["none", "mlflow"])


def test_a_desktops_file_among_the_logs_does_no_harm(run: Run) -> None:
    stray = run.path / "tensorboard" / ".DS_Store"
    stray.write_text("")
    assert run_cli("leaderboard", run.path).returncode == 0
    stray.unlink()


def test_a_missing_package_is_told_before_anything_begins(
    tiny_space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, package in (("tensorboard", "tensorboardX"), ("mlflow", "mlflow")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(InputError) as error:
            nas_incep.search(tiny_space, tmp_path / "r", logger=name)
        assert str(error.value).startswith(
            f"--logger {name}: {package} is not installed: pip install 'nas-incep[{name}]'"
        )
    with pytest.raises(InputError, match="--logger wandb: none or tensorboard or mlflow is"):
        nas_incep.search(tiny_space, tmp_path / "r", logger=["wandb"])
    assert not (tmp_path / "r").exists()
