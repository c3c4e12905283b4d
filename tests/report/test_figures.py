"""The pictures of a run: every kind in every format, and what they show."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import run_cli
from report.conftest import networks, write_run

from nas_incep.cli import reports
from nas_incep.report.contents import Contents, read_contents
from nas_incep.report.figures import KINDS, draw
from nas_incep.report.style import NothingToDraw
from nas_incep.report.svg import to_svg
from nas_incep.results.run import Run

SIGNATURES = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.fixture(scope="module")
def contents(full_run: Run) -> Contents:
    return read_contents(full_run)


def test_the_command_line_knows_every_kind() -> None:
    assert tuple(KINDS) == reports.KINDS


# Those that show several seeds are tested with test_seeds.py.
ONE_SEED = [kind for kind in KINDS if kind not in ("finals", "ranks", "fidelity")]


@pytest.mark.parametrize("kind", ONE_SEED)
def test_each_kind_is_drawn_and_described(kind: str, contents: Contents) -> None:
    picture = draw(kind, contents)
    svg = to_svg(picture, kind)
    assert picture.title in svg
    assert len(picture.description) > 30
    assert "$" not in svg
    # Every color is the page's, so that it fits a dark page as well.
    assert not [part for part in svg.split("#")[1:] if part[:6].isalnum() and part[0] == "0"]


@pytest.mark.parametrize("kind", ["progress", "macs", "parameters", "curves"])
def test_axes_have_labels(kind: str, contents: Contents) -> None:
    (axes,) = draw(kind, contents).figure.axes
    assert axes.get_xlabel() and axes.get_ylabel() == "validation accuracy"
    assert axes.get_legend() is not None


@pytest.mark.parametrize("ending", SIGNATURES)
def test_the_ending_decides_the_format(ending: str, contents: Contents, tmp_path: Path) -> None:
    for kind in ("macs", "architecture"):
        path = tmp_path / f"{kind}.{ending}"
        draw(kind, contents).save(path)
        assert path.read_bytes().startswith(SIGNATURES[ending])


def test_the_front_rises_with_the_cost(contents: Contents) -> None:
    (axes,) = draw("macs", contents).figure.axes
    front = next(line for line in axes.lines if line.get_label() == "Pareto front")
    points = list(zip(*front.get_data()))
    assert points == sorted(points)
    accuracies = [accuracy for _, accuracy in points]
    assert accuracies == sorted(set(accuracies))
    # No network is above it at no more cost.
    for row in contents.complete_rows:
        beyond = [accuracy for cost, accuracy in points if cost <= row["macs"]]
        assert row["val_accuracy"] <= max(beyond)


def test_errors_are_drawn_where_rows_have_them(contents: Contents) -> None:
    def bars(rows: tuple[dict[str, Any], ...]) -> int:
        axes = draw("macs", dataclasses.replace(contents, rows=rows)).figure.axes[0]
        return len(axes.containers)

    assert bars(contents.rows) == 0
    known = {"mean_accuracy": 0.8, "standard_error": 0.02}
    rows = [{**row, **known, "mean_epochs": row["epochs"]} for row in contents.rows]
    assert bars(tuple(rows)) == 2  # candidates, baselines
    # Means after longer finals are those of another training than the points.
    assert bars(tuple({**row, "mean_epochs": row["epochs"] + 1} for row in rows)) == 0


def test_the_best_so_far_never_falls(contents: Contents) -> None:
    (axes,) = draw("progress", contents).figure.axes
    line = next(line for line in axes.lines if line.get_label() == "best so far")
    accuracies = list(line.get_ydata())
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] == max(
        row["val_accuracy"] for row in contents.complete_rows if row["trial"] is not None
    )


def test_the_drawing_has_every_width_and_shape(contents: Contents) -> None:
    assert contents.best and contents.best.subject.architecture
    block = contents.best.subject.architecture.blocks[0]
    svg = to_svg(draw("architecture", contents), "drawing")
    for text in (
        "input 1 x 8 x 8",
        "block 0: 1 Inception unit",
        f"concatenated: {block.out_channels} x 8 x 8",
        f"max pooling 2x2: {block.out_channels} x 4 x 4",
        "added: 10 x 2 x 2",
        "global average pooling: 10 classes",
        *map(str, block[1:]),
    ):
        assert f">{text}" in svg, text


def test_a_run_without_results_says_what_is_missing(tmp_path: Path) -> None:
    empty = read_contents(write_run(tmp_path / "empty", []))
    for kind in KINDS:
        with pytest.raises(NothingToDraw):
            draw(kind, empty)
    few = read_contents(write_run(tmp_path / "few", networks("complete")))
    with pytest.raises(NothingToDraw, match="importances need 15 complete candidates"):
        draw("importances", few)


def test_the_command_draws_and_refuses(full_run: Run, tmp_path: Path) -> None:
    done = run_cli("plot", full_run.path, "curves", "--output", tmp_path / "c.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    empty = write_run(tmp_path / "empty", []).path
    for arguments, message in (
        ((full_run.path, "curves", "--output", "c.bmp"), "c.bmp: a picture's name ends in one of"),
        ((full_run.path, "pie", "--output", "c.png"), "'pie' is not one of"),
        ((full_run.path, "curves"), "Missing option '--output'"),
        ((empty, "curves", "--output", "c.png"), "there is nothing to draw: no network"),
    ):
        done = run_cli("plot", *arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
