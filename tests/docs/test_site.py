"""The site of docs/: `make docs` builds all of it; here, that it finds what is broken."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def build(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Builds a site of one page with the settings of docs/."""
    shutil.copy(ROOT / "docs" / "conf.py", folder)
    (folder / "index.md").write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "--quiet", "-W", "--keep-going", folder, folder / "built"],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_links_that_lead_nowhere_fail(tmp_path: Path) -> None:
    targets = ["missing.md", "missing.png", "index.md#no-such-heading"]
    built = build(tmp_path, "# Title\n\n" + "\n".join(f"[link]({t})\n" for t in targets))
    assert built.returncode != 0
    for target in ("missing.md", "missing.png", "no-such-heading"):
        assert target in built.stderr


def test_links_and_diagrams_of_a_sound_page(tmp_path: Path) -> None:
    diagram = "```mermaid\nflowchart TB\n    one --> two\n```\n"
    built = build(
        tmp_path, f"# A title\n\n## Why so?\n\n[Up](#why-so), [it](index.md)\n\n{diagram}"
    )
    assert (built.returncode, built.stderr) == (0, "")
    page = (tmp_path / "built" / "index.html").read_text(encoding="utf-8")
    assert 'href="#why-so"' in page
    assert "one --&gt; two" in page  # readable without the script that draws it


def anchors(page: Path) -> set[str]:
    """The headings of a page as a repository view names them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_pages_at_the_top(name: str) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text(encoding="utf-8"))
    local = [target for target in targets if ":" not in target]
    assert local or name == "CHANGELOG.md"
    for target in local:
        path, _, anchor = target.partition("#")
        page = ROOT / (path or name)
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), target


def test_every_page_is_in_the_contents() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = "\n".join(re.findall(r"```{toctree}(.*?)```", index, re.DOTALL)).split()
    pages = [page for kind in ("*.md", "*.ipynb") for page in (ROOT / "docs").glob(kind)]
    assert {page.stem for page in pages} - {"index"} <= set(listed)
