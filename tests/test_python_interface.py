"""The Python interface: a search by keywords, its run as tables, callbacks, notebooks."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import Options, run_cli
from helpers.runs import results, rows
from helpers.tables import BASELINE

import nas_incep
from nas_incep.api import SearchRun
from nas_incep.cli import program
from nas_incep.errors import InputError
from nas_incep.search.start import plan_resume, plan_search

pandas = pytest.importorskip("pandas")

KEYWORDS: dict[str, Any] = {
    "trials": 4, "baseline": BASELINE, "epochs": 2, "batch_size": 32, "images_per_epoch": 320,
    "device": "cpu", "finals": "none", "progress": False,
}  # fmt: skip


@pytest.fixture
def run(table_run: Path, tmp_path: Path) -> SearchRun:
    """A copy of a finished run."""
    return nas_incep.open_run(shutil.copytree(table_run, tmp_path / "run"))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_search_by_keywords_is_that_of_the_command_line(
    workers: int, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    epochs: list[tuple[str, int]] = []
    ended: list[str] = []
    run = nas_incep.search(
        str(tiny_space),
        run=str(tmp_path / "mine"),
        workers=workers,
        engine=table[1],
        on_epoch=lambda label, point: epochs.append((label, point.epoch)),
        on_trial=lambda record: ended.append(record.subject.label),
        **KEYWORDS,
    )
    options = ("--trials", 4, "--baseline", BASELINE, "--epochs", 2, "--batch-size", 32)
    options += ("--images-per-epoch", 320, "--device", "cpu", "--finals", "none", "--workers", 1)
    assert run_cli("search", tiny_space, "--run", tmp_path / "r", *options, *table).returncode == 0
    assert results(run.path) == results(tmp_path / "r")
    assert (f"baseline {BASELINE}", 2) in epochs and ("trial 0", 1) in epochs
    assert set(ended) >= {f"baseline {BASELINE}", "trial 0", "trial 1"}


def test_an_error_of_a_callback_ends_a_search_that_can_be_resumed(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    def stop(record: Any) -> None:
        raise StopIteration(record.subject.label)

    path = tmp_path / "r"
    with pytest.raises(StopIteration, match="baseline"):
        nas_incep.search(tiny_space, path, workers=0, engine=table[1], on_trial=stop, **KEYWORDS)
    run = nas_incep.open_run(path).resume(workers=0, progress=False)
    assert len(run.leaderboard()) == 5


def test_the_tables_of_a_run(run: SearchRun) -> None:
    board = run.leaderboard()
    assert board.to_dict("records")[0]["name"] == rows(run.path)[0]["name"]
    assert list(board.columns) == list(rows(run.path)[0])
    trials, curves = run.trials(), run.curves()
    assert len(trials) == len(run.records)
    complete = trials[trials.state == "complete"]
    assert len(curves) == complete.epochs.sum()
    last = curves[curves.trial == 0].sort_values("epoch").val_accuracy.iloc[-1]
    assert last == complete[complete.trial == 0].val_accuracy.item()
    assert run.best.subject.architecture is not None
    best = board[board.kind == "candidate"].iloc[0]
    assert run.best.subject.name == best["name"]


def test_a_run_without_results_has_empty_tables(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = nas_incep.search(tiny_space, tmp_path / "r", engine=table[1], timeout=0.0001, **KEYWORDS)
    for frame in (run.leaderboard(), run.trials(), run.curves()):
        assert len(frame) == 0 and "trial" in frame.columns
    with pytest.raises(InputError):
        _ = run.best


def test_a_notebook_shows_the_ranking_and_no_markup_of_others(run: SearchRun) -> None:
    shown = run._repr_html_()
    assert shown.count("<tr>") == 1 + len(run.leaderboard())
    assert run.best.subject.name in shown
    odd = SearchRun(Path(shutil.move(run.path, run.path.with_name("a <b>& run"))))
    assert "<b>" not in odd._repr_html_() and "a &lt;b&gt;&amp; run" in odd._repr_html_()
    assert repr(odd) == f"SearchRun({str(odd.path)!r})"


def test_the_best_is_exported(finished_run: Path, tmp_path: Path) -> None:
    run = nas_incep.open_run(str(finished_run))
    assert run.export(tmp_path / "best") == tmp_path / "best"
    assert (tmp_path / "best" / "manifest.json").exists()
    with pytest.raises(InputError, match="exists"):
        run.export(str(tmp_path / "best"))
    with pytest.raises(InputError, match="rank and trial"):
        run.export(tmp_path / "other", rank=1, trial=0)
    more = run.export(tmp_path / "more", onnx=True)
    assert "model.onnx" in json.loads((more / "manifest.json").read_text())["files"]


def test_keywords_are_named_as_the_options_and_have_their_defaults() -> None:
    for command, function in (("search", plan_search), ("resume", plan_resume)):
        keywords = inspect.signature(function).parameters
        options = {p.name: p for p in program.commands[command].params}
        shown = {"form", "quiet", "verbose", "help"}
        assert set(options) - shown <= set(keywords)
        if command == "search":
            assert set(keywords) - {"own_process"} <= set(options)
        for name, option in options.items():
            if option.param_type_name == "option" and name not in shown and not option.required:
                default = option.to_info_dict()["default"]
                assert default in (keywords[name].default, None, False, ()), name


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="there is no option 'epoch'; did you mean 'epochs'"):
        nas_incep.search("quick", tmp_path / "r", epoch=3)
    with pytest.raises(InputError, match="unknown recipe 'slow'"):
        nas_incep.search("quick", tmp_path / "r", recipe="slow")
    with pytest.raises(InputError, match="not a run folder"):
        nas_incep.open_run(tmp_path)


def test_the_package_has_a_version() -> None:
    assert nas_incep.__version__ == importlib.metadata.version("nas-incep")
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        nas_incep.serach  # noqa: B018


def test_the_ranking_is_checked_and_reported(run: SearchRun) -> None:
    found = run.fidelity(networks=2, top=2, times=2, workers=0, progress=False)
    assert found.networks == 4
    assert found.verdict.endswith(".")
    page = run.report().read_text()
    assert run.path / "report.html" == run.report()
    assert "<title>run" in page


def test_a_picture_is_drawn(run: SearchRun, tmp_path: Path) -> None:
    assert run.plot("progress", str(tmp_path / "p.svg")) == tmp_path / "p.svg"
    assert "Best so far" in (tmp_path / "p.svg").read_text()
    (tmp_path / "folder.png").mkdir()
    for kind, name, message in (
        ("pie", "p.svg", "picture 'pie': one of progress, macs, "),
        ("progress", "p.gif", "a picture's name ends in one of"),
        ("progress", "folder.png", "is a folder"),
        ("finals", "f.svg", "there is nothing to draw: no training of the finals has ended"),
    ):
        with pytest.raises(InputError, match=message):
            run.plot(kind, tmp_path / name)
    assert not (tmp_path / "f.svg").exists()
