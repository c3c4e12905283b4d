"""The report in a real browser: quiet, offline, sortable, and safe from what it shows."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.browser import Browser, Page
from helpers.commands import TINY_SPACE, run_cli
from matplotlib.image import imread
from report.conftest import damage, networks, write_run

from nas_incep.errors import InputError
from nas_incep.report.commands import made_by, space_file
from nas_incep.report.contents import read_contents
from nas_incep.report.page import render, write_report
from nas_incep.report.style import DARK, LIGHT
from nas_incep.results.run import Run
from nas_incep.spaces.reader import parse_space

RELEASED = Path(__file__).parents[1] / "fixtures" / "0.1.0"
HOSTILE = """<script>document.title = "hacked"</script><b>"'&\u202egnp.exe\x1b[2J"""


@contextmanager
def shown(browser: Browser, run: Run, width: int = 1280, scheme: str = "light") -> Iterator[Page]:
    """The report of a run in the browser, which must neither complain nor fetch anything."""
    output = run.path.parent / f"{run.path.name}.html"
    write_report(run, output)
    page = Page(browser, output, width, scheme)
    yield page
    assert page.complaints == []
    assert page.requests == []
    page.close()


def cells(page: Page, title: str) -> list[str]:
    """The texts of a column of the leaderboard, of the rows that are to be seen."""
    code = f"""[...document.querySelectorAll('#leaderboard td[data-title="{title}"]')]
        .filter(cell => cell.getClientRects().length).map(cell => cell.innerText.trim())"""
    found: list[str] = page.evaluate(code)
    return found


def words(page: Page, selector: str = "main") -> str:
    text: str = page.evaluate(f"document.querySelector({selector!r}).innerText")
    return text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_a_report_fits_the_screen(
    browser: Browser, full_run: Run, width: int, scheme: str, tmp_path: Path
) -> None:
    with shown(browser, full_run, width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate("document.querySelectorAll('figure svg').length") == 7
        # Each picture is legible, named and described.
        sizes = """[...document.querySelectorAll('figure svg text')].map(text =>
            parseFloat(getComputedStyle(text).fontSize) *
            Math.hypot(text.getCTM().a, text.getCTM().b))"""
        assert min(page.evaluate(sizes)) > 8  # pixels
        unnamed = """[...document.querySelectorAll('figure svg')].filter(svg =>
            svg.getAttribute('aria-labelledby').split(' ').some(id =>
                !document.getElementById(id).textContent.trim())).length"""
        assert page.evaluate(unnamed) == 0
        ids = "[...document.querySelectorAll('[id]')].map(element => element.id)"
        assert len(page.evaluate(ids)) == len(set(page.evaluate(ids)))
        page.screenshot(tmp_path / "page.png")
    pixels = imread(tmp_path / "page.png")
    assert pixels.shape[1] == width
    colors = LIGHT if scheme == "light" else DARK
    paper = bytes.fromhex(colors["paper"][1:])
    assert [round(255 * part) for part in pixels[1, 1, :3]] == list(paper)


def test_the_leaderboard_is_sorted_and_filtered(browser: Browser, full_run: Run) -> None:
    with shown(browser, full_run) as page:
        assert cells(page, "Rank") == [str(rank) for rank in range(1, 26)]
        page.evaluate("document.getElementById('more').click()")
        assert len(cells(page, "Rank")) == 29  # without a duplicate and one over budget
        click = "[...document.querySelectorAll('th button')].find(b => b.innerText == {!r}).click()"
        page.evaluate(click.format("Trial"))
        assert cells(page, "Trial")[:3] == ["0", "1", "2"]
        page.evaluate(click.format("Trial"))
        trials = cells(page, "Trial")
        assert trials[0] == "29" and trials[-1] == "-"  # the baseline's, which has none
        order = "document.querySelector('th[aria-sort]').getAttribute('aria-sort')"
        assert page.evaluate(order) == "descending"
        page.evaluate(click.format("Validation accuracy"))
        assert cells(page, "Validation accuracy")[0] == "95.00%"  # the largest first
        choose = """(() => {{ const filter = document.querySelector('[data-filter="{}"]');
            filter.value = '{}'; filter.dispatchEvent(new Event('change')); }})()"""
        page.evaluate(choose.format("state", "pruned"))
        assert set(cells(page, "State")) == {"pruned"} and len(cells(page, "State")) == 8
        page.evaluate(choose.format("kind", "baseline"))
        assert cells(page, "State") == []
        assert words(page, "form output") == "0 of 29 networks"


def test_marks_have_tooltips(browser: Browser, full_run: Run) -> None:
    with shown(browser, full_run) as page:
        tips = """[...document.querySelectorAll('#macs svg use > title')].map(t => t.textContent)"""
        found = page.evaluate(tips)
        assert len(found) == 17  # the complete candidates and the baseline
        assert any(tip.startswith("trial 15 ") and "95.00%" in tip for tip in found)
        assert any(tip.startswith("inception3@75:lr=0.003: 61.00%") for tip in found)


def test_hostile_names_are_text(browser: Browser, tmp_path: Path) -> None:
    records = networks("complete", "failed")
    outcome = dataclasses.replace(records[1].outcome, reason=HOSTILE)
    records[1] = dataclasses.replace(records[1], outcome=outcome)
    text = f"# {HOSTILE[:40]}</code></pre><script>document.title = 'hacked'</script>\n{TINY_SPACE}"
    run = write_run(
        tmp_path / "<i>run", records, space=parse_space(text, HOSTILE, "space"), dataset="digits"
    )
    value = json.loads(run.config_path.read_text())
    value["versions"]["<script>alert(1)</script>"] = HOSTILE
    run.config_path.write_text(json.dumps(value))
    stranger = {**records[2].to_json(), "name": HOSTILE}  # a baseline that nobody can have
    (run.path / "baselines" / "x.json").write_text(json.dumps(stranger))
    with shown(browser, run) as page:
        assert page.evaluate("document.title") == "<i>run: architecture search"
        assert page.evaluate("document.querySelectorAll('script').length") == 1
        assert page.evaluate("document.querySelectorAll('main b, h1 i').length") == 0
        said = words(page, "body")
        shown_as = HOSTILE.replace("\u202e", r"\u202e").replace("\x1b", r"\x1b")
        assert said.count(shown_as) >= 3  # the space, the reason, a version
        assert "x.json: name is " in said
        assert "\u202e" not in said and "\x1b" not in said


def test_an_empty_run_is_reported(browser: Browser, tmp_path: Path) -> None:
    with shown(browser, write_run(tmp_path / "empty", [])) as page:
        assert "No candidate was trained to the end yet." in words(page)
        assert words(page).count("Nothing to draw") == 7
        assert "0 of 4 candidates ended" in words(page)


def test_a_run_with_only_failures_is_reported(browser: Browser, tmp_path: Path) -> None:
    failed = networks("failed", "diverged", "impossible")[:3]
    with shown(browser, write_run(tmp_path / "failures", failed)) as page:
        assert "No candidate was trained to the end yet." in words(page)
        assert cells(page, "State") == ["failed", "diverged"]
        assert page.evaluate("document.querySelectorAll('#outcomes svg').length") == 1


def test_a_run_in_flight_with_a_damaged_record_is_reported(
    browser: Browser, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "flight", networks("complete", "complete"))
    damage(run, 1)
    with run.lock(), shown(browser, run) as page:
        assert "The search is running: 1 of 4 candidates ended, 1 of them complete." in words(page)
        assert "000001.json: parameters is -1" in words(page)
        assert len(cells(page, "Rank")) == 2


def test_a_run_of_several_objectives_is_reported(browser: Browser, tmp_path: Path) -> None:
    records = networks(*["complete"] * 5)
    run = write_run(tmp_path / "pareto", records, objective="accuracy,macs")
    with shown(browser, run) as page:
        assert "Its objectives were accuracy and macs." in words(page)
        assert "yes" in cells(page, "Front")


@pytest.mark.parametrize("name", ["finished", "pruned", "limits", "cut"])
def test_a_run_of_0_1_0_is_reported(browser: Browser, name: str, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(RELEASED / name, tmp_path / name)))
    with shown(browser, run) as page:
        assert page.evaluate("document.querySelectorAll('#architecture svg').length") == 1
        assert cells(page, "Rank")[0] == "1"


def test_statistics_are_shown_where_rows_have_them(
    browser: Browser, full_run: Run, tmp_path: Path
) -> None:
    """Fields that a row may have: means over seeds, their errors, intervals of ranks."""
    contents = read_contents(full_run)
    found = {"mean_accuracy": 0.9, "standard_error": 0.01, "seeds": 5, "rank_low": 1}
    found.update(rank_high=3, tied_with_best=True, chosen_by="mean accuracy")
    found["mean_epochs"] = contents.rows[0]["epochs"]
    rows = ({**contents.rows[0], **found}, *contents.rows[1:])
    (tmp_path / "r.html").write_text(render(dataclasses.replace(contents, rows=rows)))
    page = Page(browser, tmp_path / "r.html")
    assert cells(page, "Rank interval")[:2] == ["1 to 3, tied with the best", "-"]
    assert cells(page, "Mean accuracy")[0] == "90.00% ± 1.00%"
    assert cells(page, "Seeds")[0] == "5"
    assert "Latency" not in words(page, "thead")  # no row has one
    page.close()


def test_every_text_has_enough_contrast() -> None:
    """WCAG 2: 4.5 to 1 for text, also where marks and text share a color."""

    def luminance(color: str) -> float:
        parts = [part / 255 for part in bytes.fromhex(color[1:])]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for colors in (LIGHT, DARK):
        paper = luminance(colors["paper"])
        for name in ("ink", "muted", "candidate", "baseline", "best"):
            low, high = sorted((paper, luminance(colors[name])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, name


def test_the_command_writes_one_file_into_the_run(table_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(table_run, tmp_path / "r"))
    damage(Run(run), 0)
    before = {path.name for path in run.iterdir()}
    done = run_cli("report", run)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 1 and "it is left out" in done.stderr
    assert {path.name for path in run.iterdir()} - before == {"report.html"}
    assert done.stdout.strip() == str(run / "report.html")
    # Nothing is named that a browser would load from elsewhere.
    page = (run / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)


def test_the_commands_of_a_report_resume_the_run(table_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(table_run, tmp_path / "r"))
    contents = read_contents(Run(run))
    (tmp_path / "tiny.toml").write_text(space_file(contents.config) or "")
    search, export = (shlex.split(" ".join(lines)) for lines in made_by(contents))
    before = [record.subject for record in Run(run).records()]
    done = run_cli(*search[1:], "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [record.subject for record in Run(run).records()] == before
    assert export[1:] == ["export", str(run), f"{run}/best"]


def test_an_output_that_is_a_folder_is_refused(full_run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder, the name of a file is expected"):
        write_report(full_run, tmp_path)
