"""What a report and its pictures say of finals and of the check of a ranking."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from helpers.browser import Browser
from helpers.commands import run_cli
from helpers.records import changed
from report.conftest import damage, networks, play_finals, trained_again, write_run
from report.test_page import HOSTILE, shown, words

from nas_incep.records import FIDELITY, FINALS
from nas_incep.report.contents import read_contents
from nas_incep.report.fidelity import check_words, checked, figures
from nas_incep.report.figures import draw
from nas_incep.report.finals import finalists, finals_words
from nas_incep.report.style import NothingToDraw
from nas_incep.report.svg import to_svg
from nas_incep.results.fidelity import Fidelity
from nas_incep.results.finals import Finals
from nas_incep.results.run import Run


def copied(run: Run, path: Path, **request: object) -> Run:
    """A copy of a run, with changes to what run.json says that was asked for."""
    copy = Run(Path(shutil.copytree(run.path, path)))
    value = json.loads(copy.config_path.read_text())
    value["request"].update(request)
    copy.config_path.write_text(json.dumps(value))
    return copy


def section(text: str) -> str:
    """JavaScript for the rows of a section's table, cell by cell."""
    return f"""[...document.querySelectorAll('#{text} tbody tr')].map(row =>
        [...row.cells].map(cell => cell.textContent.trim()))"""


def test_the_finals_have_each_seed_and_each_end(checked_run: Run) -> None:
    contents = read_contents(checked_run)
    found = finalists(contents)
    ends = [each.end for each in found]
    assert ends[0] == "won" and ends[-1] == "baseline"
    assert "out after round 2" in ends
    rounds = {each.end: len(each.seeds[FINALS]) for each in found}
    assert rounds["out after round 2"] == 2 < rounds["won"]
    for each in found[:-1]:
        cells = dict(each.cells)
        assert cells["Search"] == f"{each.row['val_accuracy']:.2%}"
        assert cells["Finals"].count("%") == len(each.seeds[FINALS])
        assert cells["Mean"].startswith(f"{each.row['mean_accuracy']:.2%} ± ")
        assert f"{each.row['rank_low']}" in cells["Possible ranks"]


def test_a_report_has_finals_and_fidelity(browser: Browser, checked_run: Run) -> None:
    for width in (1280, 400):
        with shown(browser, checked_run, width) as page:
            assert page.evaluate("document.documentElement.scrollWidth") == width
            rows = page.evaluate(section("the-finals"))
            assert rows[0][-1] == "won" and rows[-1][0] == "inception3@75:lr=0.003"
            assert page.evaluate("document.querySelectorAll('figure svg').length") == 10
            certificate = read_contents(checked_run).certificate
            assert certificate and certificate.verdict in words(page, "#the-fidelity")
            rows = page.evaluate(section("the-fidelity"))
            assert [row[0] for row in rows] == [name for name, _ in figures(certificate)]
            tau = certificate.taus["brief ranking"]
            assert rows[0][1:] == [f"{tau.value:.2f}", f"{tau.low:.2f} to {tau.high:.2f}"]
            assert "Finals" in words(page, "nav") and "Fidelity" in words(page, "nav")
            scrolls = (
                "[...document.querySelectorAll('#the-finals .scroll')].map(e => e.scrollWidth)"
            )
            assert max(page.evaluate(scrolls)) <= width
            # No text of a picture is cut off.
            inside = """[...document.querySelectorAll('figure svg')].every(svg => {
                const whole = svg.getBoundingClientRect();
                return [...svg.querySelectorAll('text')].every(text => {
                    const box = text.getBoundingClientRect();
                    return box.left >= whole.left - 1 && box.right <= whole.right + 1; }); })"""
            assert page.evaluate(inside)


def test_a_run_without_them_has_no_such_sections(browser: Browser, full_run: Run) -> None:
    with shown(browser, full_run) as page:
        assert page.evaluate("document.querySelector('#the-finals, #the-fidelity')") is None
        assert "Finals" not in words(page, "nav") and "Fidelity" not in words(page, "nav")
    contents = read_contents(full_run)
    for kind, why in (
        ("finals", "no training of the finals has ended"),
        ("ranks", "several seeds"),
        ("fidelity", "`nas-incep fidelity` does that"),
    ):
        with pytest.raises(NothingToDraw, match=why):
            draw(kind, contents)


@pytest.mark.parametrize("kind", ["finals", "ranks", "fidelity"])
def test_their_pictures_are_drawn_with_tips(kind: str, checked_run: Run) -> None:
    contents = read_contents(checked_run)
    picture = draw(kind, contents)
    svg = to_svg(picture, kind)
    assert len(picture.description) > 30
    assert not [part for part in svg.split("#")[1:] if part[:6].isalnum() and part[0] == "0"]
    tips = [tip for each in picture.tips.values() for tip in each]
    assert all(f"<title>{tip}</title>" in svg for tip in tips)
    if kind == "ranks":
        assert len(tips) == 17
        axes = picture.figure.axes[0]
        bars = {round(bar.get_x() + 0.35): round(bar.get_width() - 0.7) for bar in axes.patches}
        assert bars  # low: high - low
        for row in contents.rows:
            assert row["rank_low"] in bars
    if kind == "finals":
        reruns = contents.ranking.reruns
        searched = len(contents.ranking.race.contenders) + 1  # and the baseline
        assert len(tips) == len(reruns) + searched
    if kind == "fidelity":
        assert len(tips) == 9


def test_finals_that_go_on_and_failures_are_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", networks(*["complete"] * 16), finals=Finals(0.6), trials=16)
    assert finalists(read_contents(run)) == []
    first = read_contents(run).ranking.race.wanted
    trained_again(run, first[1:], 0.05)
    contents = read_contents(run)
    assert {each.end for each in finalists(contents)} == {"in the race", "baseline"}
    # The first of them fails, and the others go on.
    entry = run.entry(first[1])
    entry.write(changed(entry.read(), state="diverged", curve=()))
    play_finals(run, 0.05)
    ends = [each.end for each in finalists(read_contents(run))]
    assert ends.count("diverged in round 1") == 1 and ends.count("won") == 1
    assert finals_words(read_contents(run))[1].startswith("The winner is trial ")
    # Whoever wants no finals any more still has the trainings.
    none = read_contents(copied(run, tmp_path / "none", finals={"share": 0.0, "epochs": None}))
    assert {each.end for each in finalists(none)} == {"was in earlier finals", "baseline"}
    assert finals_words(none) == ["These trainings are of earlier finals."]


def test_the_check_is_found_after_a_call_that_asked_for_none(
    checked_run: Run, tmp_path: Path
) -> None:
    asked = read_contents(checked_run)
    contents = read_contents(copied(checked_run, tmp_path / "later", fidelity=None))
    assert contents.check == asked.check == Fidelity(6, 3, 2, 2)
    assert contents.certificate == asked.certificate
    assert checked(contents)[1].networks == 9
    assert check_words(checked(contents)[1])[0] == asked.certificate.verdict


def test_a_check_that_is_not_done_is_none(checked_run: Run, tmp_path: Path) -> None:
    run = copied(checked_run, tmp_path / "cut")
    next((run.path / "fidelity").glob("*.json")).unlink()
    with pytest.raises(NothingToDraw, match="the long trainings are not all done"):
        draw("fidelity", read_contents(run))
    failed = copied(checked_run, tmp_path / "failed")
    for old in failed.reruns(stages=(FIDELITY,))[:-3]:
        failed.entry(old.subject).write(changed(old, state="failed", curve=()))
    with pytest.raises(NothingToDraw, match="long trainings are complete for "):
        draw("fidelity", read_contents(failed))
    done = run_cli("report", failed.path)
    assert done.returncode == 0, done.stderr
    done = run_cli("plot", failed.path, "FIDELITY", "--output", tmp_path / "f.png")
    assert done.returncode == 2
    assert "there is nothing to draw: " in done.stderr and len(done.stderr.splitlines()) == 1


def test_strange_names_are_text_in_both(browser: Browser, checked_run: Run, tmp_path: Path) -> None:
    """Names that no search writes, in every record that a report reads."""
    contents = read_contents(copied(checked_run, tmp_path / "strange"))

    def renamed(records: tuple) -> tuple:
        return tuple(
            dataclasses.replace(r, subject=dataclasses.replace(r.subject, name=HOSTILE))
            if r.subject.trial == 15
            else r
            for r in records
        )

    for old in renamed((*contents.records, *contents.ranking.reruns, *contents.long)):
        contents.run.entry(old.subject).write(old)
    damage(contents.run, 3)
    with shown(browser, contents.run) as page:
        assert page.evaluate("document.querySelectorAll('script').length") == 1
        assert page.evaluate("document.querySelectorAll('main b').length") == 0
        assert "\u202e" not in words(page)
        assert page.evaluate("document.querySelectorAll('#the-finals svg').length") == 2
