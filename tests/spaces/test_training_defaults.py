"""The table [training] of a space file: defaults of a search, below its options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.commands import TINY_SPACE, Options, run_cli
from helpers.spaces import SOUND, faults, parse
from helpers.tables import BASELINE

from nas_incep.recipe import RECIPES
from nas_incep.records import COMPLETE
from nas_incep.results.run import Run
from nas_incep.search.start import plan_search
from nas_incep.spaces.reader import read_space, shipped_spaces

TABLE = f"""
[training]
epochs = 2
batch_size = 32
images_per_epoch = 320
lr = 0.05
augment = false
baselines = ["{BASELINE}"]
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(TINY_SPACE + TABLE)
    return path


def test_a_search_takes_what_the_space_says(space: Path, table: Options, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = run_cli("search", space, "--trials", 1, "--run", run, *table)
    assert done.returncode == 0, done.stderr
    recipe = Run(run).config().request.recipe
    assert (recipe.epochs, recipe.batch_size, recipe.images_per_epoch) == (2, 32, 320)
    assert (recipe.learning_rate, recipe.augment) == (0.05, False)
    assert recipe.optimizer == RECIPES["brief"].optimizer
    assert [r.subject.name for r in Run(run).records() if r.subject.is_baseline] == [BASELINE]


def test_options_win(space: Path) -> None:
    changed = plan_search(space, "r", epochs=5, lr=0.2, baseline="none").request
    assert (changed.recipe.epochs, changed.recipe.learning_rate) == (5, 0.2)
    assert (changed.recipe.batch_size, changed.baselines) == (32, ())
    # Its changes are meant for its own preset.
    other = plan_search(space, "r", recipe="notebook", epochs=4).request
    assert (other.recipe.name, other.recipe.epochs, other.baselines) == (
        "notebook", 4, (BASELINE,)
    )  # fmt: skip


def test_a_space_without_the_table_has_the_usual_defaults(tiny_space: Path) -> None:
    request = plan_search(tiny_space, "r").request
    assert (request.recipe.name, request.recipe.epochs) == ("brief", 3)
    assert request.baselines == ("inception3@75",)
    none = parse(SOUND + "[training]\nbaselines = []\n")
    assert none.training.baselines == ()


def test_the_table_is_no_part_of_what_is_searched() -> None:
    with_table = parse(SOUND + "[training]\nepochs = 7\n")
    assert with_table.training.changes == {"epochs": 7}
    assert with_table.to_json() == parse(SOUND).to_json()


def test_all_faults_are_told_at_once() -> None:
    text = (
        '[training]\nepochs = 0\nlr = "fast"\ntempo = 1\nbaselines = ["x:lr=no", "y"]\naugment = 1'
    )
    found = faults(SOUND.replace("blocks = 1", "blocks = 0") + text)
    for fault in (
        "blocks has 0: an integer from 1 to 8 is expected",
        "unknown key training.tempo: expected recipe, epochs",
        "training.augment is 1: true or false is expected",
        "training: recipe brief: epochs is 0: a positive integer is expected",
        "learning_rate is 'fast': a number from 0 to below inf is expected",
        "training.baselines has 'x:lr=no': setting lr='no': a number is expected",
    ):
        assert any(one.startswith(fault) for one in found), (fault, found)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('recipe = "slow"', "training.recipe is 'slow': one of brief"),
        ("recipe = []", "training.recipe is []: one of brief"),
        ('baselines = "x"', "training.baselines is 'x': a list of names"),
        ("baselines = [1]", "training.baselines is [1]: a list of names"),
        ("lr = 0", "training: recipe brief: learning_rate is 0: a positive number"),
        ("epochs = true", "training: recipe brief: epochs is True"),
    ],
)
def test_a_fault_is_named_with_its_place(line: str, fault: str) -> None:
    assert faults(f"{SOUND}[training]\n{line}\n")[0].startswith(fault)
    assert faults(f"training = 3\n{SOUND}")[0] == "training is 3: a table is expected"


@pytest.mark.parametrize("name", sorted(shipped_spaces()))
def test_shipped_spaces_say_how_to_train_and_what_to_try_first(name: str) -> None:
    space = read_space(name)
    assert space.training.baselines and space.references and space.limits
    shown = json.loads(run_cli("spaces", name, "--format", "json").stdout)
    assert tuple(shown["training"]["baselines"]) == space.training.baselines


def test_the_first_candidate_of_the_quick_start_is_trained(tmp_path: Path) -> None:
    options = ("--baseline", "none", "--epochs", 1, "--images-per-epoch", 64, "--workers", 0)
    done = run_cli("search", "quick", "--run", tmp_path / "r", "--trials", 1, *options)
    assert done.returncode == 0, done.stderr
    (record,) = Run(tmp_path / "r").records()
    assert record.outcome.state == COMPLETE
    reference = read_space("quick").references[0]["blocks"]
    assert record.subject.architecture is not None
    assert [list(block) for block in record.subject.architecture.blocks] == reference
