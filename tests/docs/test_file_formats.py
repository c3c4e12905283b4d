"""docs/files.md names the fields that the files have, and no others."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from helpers.bundles import a_bundle

from nas_incep.architecture import NOTEBOOK
from nas_incep.architecture import VERSION as ARCHITECTURE_VERSION
from nas_incep.engines.checkpoint import VERSION as CHECKPOINT_VERSION
from nas_incep.engines.table.table import VERSION as TABLE_VERSION
from nas_incep.engines.table.table import Network, Table
from nas_incep.export.manifest import VERSION as BUNDLE_VERSION
from nas_incep.recipe import Recipe
from nas_incep.records import VERSION as TRIAL_VERSION
from nas_incep.results.config import VERSION as RUN_VERSION
from nas_incep.results.run import Run
from nas_incep.spaces.reader import VERSION as SPACE_VERSION

TEXT = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")
HEAD = {"format", "version"}


def table(after: str) -> set[str]:
    """The fields in the first column of the first table of fields after a text, without parts."""
    rows = TEXT.split(after, 1)[1].split("| field | meaning |\n|---|---|\n", 1)[1]
    cells = [row.split("|")[1] for row in rows.split("\n\n", 1)[0].splitlines()]
    return {name.split(".")[0] for cell in cells for name in re.findall(r"`([a-z_.]+)`", cell)}


def names(kind: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def test_run_json(finished_run: Path) -> None:
    written = Run(finished_run).config().to_json()
    assert table("## run.json") == written.keys() - HEAD
    assert table("`request` has the options") == written["request"].keys()
    assert table("`data` is the same") == written["data"].keys()


def test_records(finished_run: Path) -> None:
    written = Run(finished_run).records()[0].to_json()
    assert table("## Records") == written.keys() - HEAD
    assert table("is ranked is `val_accuracy`") == written["curve"][0].keys()


def test_architectures_and_recipes() -> None:
    assert table("## Architectures") == NOTEBOOK.to_json().keys() - HEAD
    assert table("## Recipes") == names(Recipe)


def test_manifests(tmp_path: Path) -> None:
    written = a_bundle(tmp_path / "bundle").manifest.to_json()
    assert table("## Bundles") == written.keys() - HEAD
    for part in ("preprocessing", "data", "accuracy", "trial"):
        row = re.search(rf"^\| `{part}` \| (.*) \|$", TEXT.split("## Bundles")[1], re.MULTILINE)
        assert row and {f"`{name}`" for name in written[part]} <= set(re.findall("`.*?`", row[1]))


def test_tables() -> None:
    assert table("## Tables") == names(Table) - {"source"}
    assert table("and in each network") == names(Network)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("run", RUN_VERSION),
        ("trial", TRIAL_VERSION),
        ("architecture", ARCHITECTURE_VERSION),
        ("bundle", BUNDLE_VERSION),
        ("space", SPACE_VERSION),
        ("table", TABLE_VERSION),
        ("checkpoint", CHECKPOINT_VERSION),
    ],
)
def test_versions(name: str, version: int) -> None:
    assert re.search(rf"\| `nas-incep-{name}` \| {version}\b", TEXT)


def test_the_journal(finished_run: Path) -> None:
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert code
    scope: dict[str, Any] = {}
    exec(code[1].replace("RUN/", f"{finished_run}/"), scope)
    assert len(scope["study"].trials) >= 4
