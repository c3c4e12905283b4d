"""The README.md of a bundle."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from helpers.bundles import a_bundle
from helpers.records import a_config, changed, record
from markdown_it import MarkdownIt
from PIL import Image

from nas_incep.export.card import Choice, card_of, choice_of
from nas_incep.export.manifest import Source
from nas_incep.records import COMPLETE, PRUNED
from nas_incep.results.ranking import rank_run
from nas_incep.results.standings import Standing

EVIL = (
    "<script>alert(1)</script>",
    "[click](http://evil.example)",
    "a|b\n# title",
    "`x` *b* _i_ ~~s~~ &lt; ![p](q) www.evil.example http://evil.example",
)


def test_a_card_says_how_good_the_network_is_and_how_it_was_chosen(bundle: Path) -> None:
    text = (bundle / "README.md").read_text()
    manifest = json.loads((bundle / "manifest.json").read_text())
    accuracy = manifest["accuracy"]["validation"]
    error = math.sqrt(accuracy * (1 - accuracy) / 300)
    assert f"{accuracy:.4f} ± {error:.4f} (binomial standard error of 300 images)" in text
    assert "The best of 4 candidates in the ranking of its run" in text
    assert "flatters it" in text
    for fact in (
        *("scikit-learn's digits", "28511e4b2a790a46", "2 epochs of 320 images", "Apache-2.0"),
        *(manifest["identity"], "8 x 8 pixels, gray", "mxnet 1.9.1", "0, 1, 2, 3, 4, 5, 6, 7"),
    ):
        assert fact in text


def test_the_lines_of_python_on_a_card_work(bundle: Path, tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", (bundle / "README.md").read_text(), re.DOTALL)
    assert code and code[1].count("\n") <= 10
    shutil.copytree(bundle, tmp_path / "best")
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "image.png")
    done = subprocess.run(
        [sys.executable, "-c", code[1]], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"(\d: \d+\.\d%\n){3}", done.stdout)


def test_text_from_files_is_shown_as_text(tmp_path: Path) -> None:
    bundle = a_bundle(tmp_path / "b", classes=EVIL, data=Source(EVIL[2], EVIL[0], 100))
    one = record(7, COMPLETE, 0.75)
    text = card_of(bundle.manifest, bundle.architecture, one, Choice(1, 1, None))
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    for tag in ("<script", "<a ", "<img", "<del", "<em", "<h1>title"):
        assert tag not in html
    shown = unescape(re.sub("<[^>]*>", "", html))
    for name in EVIL:
        assert name.replace("\n", "\\n") in shown


@pytest.mark.parametrize(
    ("trial", "place"), [(0, "Number 2 of 3 candidates"), (2, "The best of 3 candidates")]
)
def test_the_place_of_a_candidate_is_told(trial: int, place: str, tmp_path: Path) -> None:
    accuracies = (0.7, 0.6, 0.8)
    records = [record(number, COMPLETE, value) for number, value in enumerate(accuracies)]
    records += [record(None, COMPLETE, 0.9), changed(record(3, PRUNED, 0.99))]
    bundle = a_bundle(tmp_path / "b")
    ranking = rank_run(a_config().request, records, [])
    choice = choice_of(records[trial], ranking)
    text = card_of(bundle.manifest, bundle.architecture, records[trial], choice)
    assert f"{place} in the ranking of its run, by one seed." in text
    assert "That flatters it" in text


def test_fresh_seeds_of_the_finals_are_told(tmp_path: Path) -> None:
    bundle = a_bundle(tmp_path / "b")
    standing = Standing(0.71, 4, 3, 0.012, 1, 2, True, 1, "finals 1-3", "finals 1-3")
    text = card_of(
        bundle.manifest, bundle.architecture, record(7, COMPLETE, 0.75), Choice(1, 9, standing)
    )
    assert "The best of 9 candidates in the ranking of its run, which is by finals 1-3." in text
    assert "by 3 seeds (finals 1-3), such a network has a validation accuracy of\n0.7100" in text
    assert "0.7100 ± 0.0120 (standard error between seeds)." in text
