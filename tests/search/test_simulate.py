"""Simulated searches: the real one over recorded curves, and what it says of them."""

from __future__ import annotations

import json
import lzma
import re
import statistics
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import SEARCH, run_cli
from helpers.tables import curve, tiny_architectures, write_table

from nas_incep import datasets
from nas_incep.engines.base import Job
from nas_incep.engines.table.once import NoSeedLeft, OnceEngine
from nas_incep.recipe import Recipe
from nas_incep.records import CANDIDATE, Subject
from nas_incep.report.simulated import draw_simulations
from nas_incep.search.recorded import read_recorded
from nas_incep.search.simulation import Summary
from nas_incep.search.table_source import TableSource
from nas_incep.spaces.points import Point

EPOCHS = 5
NETWORKS = tiny_architectures()


def write_seeds(path: Path, seeds: int, left: Collection[int] = range(16)) -> Path:
    """A table of version 2 of those tiny networks, each with several seeds."""
    networks: dict[str, Any] = {}
    for architecture in (NETWORKS[k] for k in left):
        name = architecture.identity
        networks[name] = {
            "architecture": architecture.to_json(),
            "parameters": architecture.parameters,
            "macs": architecture.macs,
            # Seeds differ in the noise of the curve, and a little in its height.
            "curves": [shifted(name, 0.01 * seed) for seed in range(seeds)],
        }
    path.write_text(json.dumps({"format": "nas-incep-table", "version": 2, "networks": networks}))
    return path


def shifted(name: str, accuracy: float) -> list[dict[str, Any]]:
    return [
        {**point, "val_accuracy": min(1.0, point["val_accuracy"] + accuracy)}
        for point in curve(name, EPOCHS)
    ]


def finals_of(path: Path) -> dict[str, list[float]]:
    """The last accuracies in a table of version 2."""
    networks = json.loads(path.read_text())["networks"]
    return {
        name: [points[-1]["val_accuracy"] for points in network["curves"]]
        for name, network in networks.items()
    }


def simulated(table: Path, *options: object) -> dict[str, Any]:
    done = run_cli("simulate", table, *options, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def seeds_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_seeds(tmp_path_factory.mktemp("table") / "seeds.json", 6)


def test_searches_find_better_networks_the_longer_they_are(seeds_table: Path) -> None:
    options = ("--trials", 12, "--repeats", 6, "--sampler", "random", "--sampler", "evolution")
    found = simulated(seeds_table, *options, "--finals", 0.3)
    true = {name: statistics.mean(values) for name, values in finals_of(seeds_table).items()}
    assert found["best"] == pytest.approx(max(true.values()))
    assert (found["networks"], found["seeds"], found["cost_in"]) == (16, [6, 6], "images")
    assert list(found["samplers"]) == ["random", "evolution"]
    for sampler in found["samplers"].values():
        moments = sampler["moments"]
        assert [moment["after"] for moment in moments] == ["3", "6", "9", "12", "finals"]
        # Every training has all its epochs, of 320 images; a search's finals have some 5 more.
        assert [m["cost"] for m in moments[:4]] == [n * EPOCHS * 320 for n in (3, 6, 9, 12)]
        assert moments[4]["cost"] > moments[3]["cost"]
        assert moments[0]["regret"] >= moments[3]["regret"] >= 0
        for moment in moments:
            assert moment["accuracy"] + moment["regret"] == pytest.approx(found["best"])
            assert moment["searches"] == 6 and moment["margin"] >= 0
    # The same seed, the same searches.
    assert simulated(seeds_table, *options, "--finals", 0.3) == found
    assert simulated(seeds_table, *options, "--finals", 0.3, "--seed", 1) != found


def test_a_pruner_saves_images(seeds_table: Path) -> None:
    options = ("--trials", 12, "--repeats", 3, "--finals", "none", "--sampler", "random")
    whole, pruned = (
        simulated(seeds_table, *options, "--pruner", name)["samplers"]["random"]["moments"][-1]
        for name in ("none", "sha")
    )
    assert whole["after"] == pruned["after"] == "12"
    assert pruned["cost"] < 0.7 * whole["cost"]


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "evolution", "nsga2"])
def test_a_search_of_all_networks_finds_the_best(sampler: str, tmp_path: Path) -> None:
    """A table of a part of the space, one seed each: then nothing is left to regret."""
    path = write_seeds(tmp_path / "sparse.json", 1, left=(0, 3, 5, 10, 12, 15))
    options = ("--trials", 6, "--repeats", 2, "--finals", "none", "--sampler", sampler)
    (moments,) = (s["moments"] for s in simulated(path, *options)["samplers"].values())
    assert moments[-1]["regret"] == pytest.approx(0, abs=1e-12)
    assert moments[-1]["cost"] == 6 * EPOCHS * 320


def test_what_lacks_seeds_is_counted(tmp_path: Path) -> None:
    path = write_seeds(tmp_path / "one.json", 1)
    arguments = ("simulate", path, "--trials", 8, "--repeats", 3, "--sampler", "random")
    done = run_cli(*arguments, "--finals", 0.5)
    assert done.returncode == 0, done.stderr
    assert "16 networks with 1 seed each" in done.stdout
    assert "random: in 3 of 3 searches the finals ended early" in done.stdout
    # No network had a second seed, so no training of the finals has taken place.
    last = simulated(*arguments[1:], "--finals", 0.5)["samplers"]["random"]["moments"][-1]
    assert last["after"] == "8"


def test_a_search_without_finals_has_no_row_of_them(seeds_table: Path) -> None:
    """Twelve trainings, of which 0.1 leaves one for the finals."""
    options = ("--trials", 12, "--repeats", 3, "--sampler", "random", "--finals", 0.1)
    done = run_cli("simulate", seeds_table, *options)
    assert done.returncode == 0, done.stderr
    assert not re.search("^ *finals", done.stdout, re.MULTILINE)
    said = (
        "random: 3 of 3 searches had no finals, because a share of 0.1 left fewer than 3 trainings"
    )
    assert said in done.stdout
    found = simulated(seeds_table, *options)["samplers"]["random"]
    assert [moment["after"] for moment in found["moments"]] == ["3", "6", "9", "12"]
    assert found["without_finals"] == 3
    plenty = simulated(seeds_table, *options, "--finals", 0.3)["samplers"]["random"]
    assert plenty["without_finals"] == 0


def test_each_seed_is_given_once(seeds_table: Path, tmp_path: Path) -> None:
    recorded = read_recorded(seeds_table)
    name = NETWORKS[7].identity
    job = Job(
        Subject(CANDIDATE, 0, name, 0, NETWORKS[7]),
        datasets.load("digits"),
        Recipe(epochs=EPOCHS),
        "cpu",
        "float32",
        tmp_path / "checkpoint",
    )

    def given(seed: int) -> list[float]:
        engine, lasts = OnceEngine(recorded.table, seed), []
        for _ in range(6):
            with engine.start(job) as training:
                lasts.append(list(training.epochs(lambda images: False))[-1].val_accuracy)
        with pytest.raises(NoSeedLeft, match="no further seed"):
            engine.start(job)
        return lasts

    orders = [given(seed) for seed in range(4)]
    assert all(sorted(order) == sorted(finals_of(seeds_table)[name]) for order in orders)
    assert len(set(map(tuple, orders))) > 1
    assert not job.checkpoint.exists()


def drawn(path: Path, points: Sequence[dict[str, Any]]) -> list[str]:
    source = TableSource(read_recorded(path), "tpe", 0)
    return [source.draw(Point(point)).name for point in points]


def test_a_point_that_the_table_lacks_becomes_the_nearest(tmp_path: Path) -> None:
    """Of the tiny networks, n1_1, n2_3, n4_1 and the batch normalization vary, in this order."""
    path = write_seeds(tmp_path / "two.json", 1, left=(0b0000, 0b1110, 0b1111))
    near = {"b0.n1_1": 16, "b0.n2_3": 8, "b0.n4_1": 16, "batch_norm": True}
    exact = {"b0.n1_1": 8, "b0.n2_3": 8, "b0.n4_1": 8, "batch_norm": False}
    names = [NETWORKS[k].identity for k in (0b1111, 0b1110, 0b0000, 0b0000)]
    # The second time the nearest is taken; a network at the very point is a duplicate, as in life.
    assert drawn(path, [near, near, near, exact]) == names


def test_a_table_of_version_1_can_be_drawn_from_at_random(tmp_path: Path) -> None:
    path = write_table(tmp_path / "old.json")  # with a baseline, which no search draws
    found = simulated(path, "--sampler", "random", "--trials", 5, "--repeats", 2)
    assert (found["networks"], found["seeds"], found["epochs"]) == (16, [1, 1], 20)
    done = run_cli("simulate", path, "--sampler", "tpe", "--trials", 5)
    assert done.returncode == 2
    assert "--sampler tpe: " in done.stderr
    assert "does not say what its networks are (`architecture`)" in done.stderr


def test_a_run_is_a_table(table_run: Path) -> None:
    found = simulated(table_run, "--sampler", "tpe", "--trials", 4, "--repeats", 2)
    assert (found["networks"], found["epochs"]) == (4, 2)
    assert found["seeds"] == [1, 1]


def test_several_runs_are_further_seeds_of_the_same_networks(
    table_run: Path, tiny_space: Path, table: tuple[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    arguments = ("--trials", 16, "--run", other, "--baseline", "none", "--seed", 5)
    done = run_cli("search", tiny_space, *arguments, *SEARCH, *table, "--finals", "none")
    assert done.returncode == 0, done.stderr
    options = ("--trials", 8, "--repeats", 2, "--sampler", "evolution")
    done = run_cli("simulate", table_run, other, *options, "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["networks"], found["seeds"]) == (16, [1, 2])
    # The same run twice has no further seeds.
    done = run_cli("simulate", other, other, *options, "--format", "json")
    assert json.loads(done.stdout)["seeds"] == [1, 1]

    longer = tmp_path / "longer"
    arguments = ("--trials", 2, "--run", longer, "--baseline", "none", *SEARCH, "--epochs", 3)
    assert run_cli("search", tiny_space, *arguments, *table).returncode == 0
    done = run_cli("simulate", other, longer)
    assert done.returncode == 2
    assert f"{longer}: its recipe or its data are not those of {other}" in done.stderr
    done = run_cli("simulate", other, tmp_path / "file.json")
    assert done.returncode == 2
    assert "several run folders or one file are expected" in done.stderr


def write_macro(path: Path) -> Path:
    """A small table like NAS-Bench-Macro's."""
    value = {
        f"{first}{second}000000": {
            "test_acc": [80 + 3 * first + second, 80.5 + 3 * first + second],
            "mean_acc": 80.25 + 3 * first + second,
            "std": 0.25,
            "params": 1000 + first,
            "flops": 2000 + second,
        }
        for first in range(3)
        for second in range(3)
    }
    text = json.dumps(value).encode()
    path.write_bytes(lzma.compress(text) if path.suffix == ".xz" else text)
    return path


def test_nas_bench_macro_has_final_accuracies_alone(tmp_path: Path) -> None:
    path = write_macro(tmp_path / "macro.json.xz")
    options = ("--trials", 9, "--repeats", 2, "--finals", "none")
    found = simulated(path, *options)
    assert (found["networks"], found["seeds"]) == (9, [2, 2])
    assert (found["cost_in"], found["epochs"]) == ("trainings", None)
    assert "images" not in json.dumps(found["samplers"])
    assert found["best"] == pytest.approx(0.8825)
    last = found["samplers"]["tpe"]["moments"][-1]
    assert (last["cost"], last["regret"]) == (9, pytest.approx(0))
    assert (
        simulated(write_macro(tmp_path / "macro.json"), *options)["samplers"] == found["samplers"]
    )
    done = run_cli("simulate", path, "--pruner", "sha")
    assert done.returncode == 2
    assert "--pruner sha: " in done.stderr and "without learning curves" in done.stderr


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"{}", (), "a run folder, a table (format 'nas-incep-table') or NAS-Bench-Macro's file"),
        (b"[1]", (), "a run folder, a table"),
        (None, ("--trials", 17), "--trials 17: {path} has 16 networks"),
        (None, ("--final-epochs", 9), "--final-epochs 9: the trainings in {path} have 5 epochs"),
        (b'{"00000000": {"test_acc": [101], "mean_acc": 1, "std": 0, "params": 1, "flops": 1}}', (),
         "101"),
        (b'{"00000000": {"test_acc": [1], "mean_acc": 1, "std": 0, "params": 1, "flops": 1}}', (),
         "two networks trained to the end are expected, it has 1"),
        (b'{"format": "nas-incep-table", "version": 2, "networks": {}}', (), "it has 0"),
        (b'{"format": "nas-incep-table", "version": 3, "networks": {}}', (), "expected 1 or 2"),
        (b'{"format": "nas-incep-table", "version": 2, "networks": {"x": {"parameters": 1, '
         b'"macs": 1, "curves": []}}}', (), "curves"),
    ],
)  # fmt: skip
def test_what_cannot_be_simulated_is_said(
    content: bytes | None, options: tuple[object, ...], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "it.json"
    if content is None:
        write_seeds(path, 2)
    else:
        path.write_bytes(content)
    done = run_cli("simulate", path, *options)
    assert done.returncode == 2, done.stdout
    assert message.format(path=path) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no xz at all", "not an xz file"),
        (lzma.compress(b"{}")[:-4], "is not a whole xz file"),
        (lzma.compress(bytes(70 << 20)), "unpacks to more than the 64 MB expected"),
        (lzma.compress(b"\xff\xfe"), "not a text file"),
    ],
)
def test_a_damaged_xz_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "it.json.xz"
    path.write_bytes(content)
    done = run_cli("simulate", path)
    assert done.returncode == 2
    assert message in done.stderr


def test_an_architecture_under_another_name_is_refused(tmp_path: Path) -> None:
    path = write_seeds(tmp_path / "it.json", 1)
    value = json.loads(path.read_text())
    networks = value["networks"]
    first, second = list(networks)[:2]
    networks[first]["architecture"] = networks[second]["architecture"]
    path.write_text(json.dumps(value))
    done = run_cli("simulate", path)
    assert done.returncode == 2
    assert f"networks.{first}.architecture: is that of {second}" in done.stderr


def test_a_picture_has_a_line_for_each_sampler(seeds_table: Path, tmp_path: Path) -> None:
    options = ("--trials", 8, "--repeats", 4, "--sampler", "random", "--sampler", "tpe")
    path = tmp_path / "regret.svg"
    done = run_cli("simulate", seeds_table, *options, "--format", "json", "--output", path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == str(path)
    found = json.loads(done.stdout)
    assert found == simulated(seeds_table, *options)
    text = path.read_text()
    for label in ("random", "tpe", "images trained on by all candidates", "regret, points"):
        assert f">{label}<" in text
    assert "4 searches of 8 candidates" in text
    recorded = read_recorded(seeds_table)
    summaries = {
        sampler: [Summary(**moment) for moment in value["moments"]]
        for sampler, value in found["samplers"].items()
    }
    best = max(recorded.accuracies.values())
    picture = draw_simulations(summaries, "images", "title", best)
    (axes,) = picture.figure.axes
    for bars, moments in zip(axes.containers[::2], summaries.values()):
        xs, ys = bars.lines[0].get_data()
        assert list(xs) == [moment.cost for moment in moments[:-1]]
        assert list(ys) == pytest.approx([100 * moment.regret for moment in moments[:-1]])
        # The finals' mark is alone, and an interval is as long as the table says.
        (segment, *_) = bars.lines[2][0].get_segments()
        assert segment[1][1] - segment[0][1] == pytest.approx(200 * moments[0].margin)
    for sampler, moments in summaries.items():
        assert f"{sampler} {100 * moments[-1].regret:.2f} points" in picture.description


def test_costs_without_curves_are_trainings(tmp_path: Path) -> None:
    path = write_macro(tmp_path / "macro.json")
    options = ("--trials", 9, "--repeats", 2, "--finals", "none")
    done = run_cli("simulate", path, *options, "--output", tmp_path / "r.svg")
    assert done.returncode == 0, done.stderr
    assert ">trainings of candidates<" in (tmp_path / "r.svg").read_text()


def test_a_picture_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for name, message in (("x.bmp", "a picture's name ends in"), ("folder.png", "is a folder")):
        done = run_cli("simulate", tmp_path / "no.json", "--output", tmp_path / name)
        assert done.returncode == 2 and message in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_projects_own_table_opens() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "tables" / "nin_small_cifar10.json.xz"
    recorded = read_recorded(path)
    assert len(recorded.accuracies) == 48 and recorded.epochs == 8
    assert recorded.places is not None
    for network in recorded.table.networks.values():
        assert network.answers is not None
        for points, answers in zip(network.curves, network.answers):
            assert answers.correct / answers.images == points[-1].val_accuracy
