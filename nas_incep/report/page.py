"""The report of a run as one HTML file that needs nothing else, neither files nor a network."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._files import atomic_file
from .._machine import versions
from .._text import plain
from ..errors import InputError
from ..results.leaderboard import short_number
from ..results.run import Run
from .commands import beyond_options, made_by, space_file
from .contents import Contents, read_contents
from .fidelity import check_words, checked, figures
from .figures import KINDS, draw
from .finals import finalists, finals_words
from .style import DARK, LIGHT, NothingToDraw
from .svg import to_svg
from .table import columns
from .words import reasons, summary

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

MAX_TEXT = 10_000  # characters of one text from a file


def write_report(run: Run, output: Path) -> Contents:
    """Writes the report of a run to the file `output`, atomically; what it shows.

    Raises InputError if the folder is no run or `output` is a folder.
    """
    contents = read_contents(run)
    if output.is_dir():
        raise InputError(f"--output {output}: is a folder, the name of a file is expected")
    page = render(contents)
    with atomic_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return contents


def render(contents: Contents) -> str:
    """The HTML of a run's report. Every text from the run's files is text in it, never markup."""
    from markupsafe import Markup

    script = _part("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    pictures = {kind: _picture(kind, contents) for kind in KINDS}
    return _environment().from_string(_part("page.html")).render(
        contents=contents,
        request=contents.config.request,
        title=contents.run.path.resolve().name,
        summary=summary(contents),
        tiles=_tiles(contents),
        columns=columns(contents.rows),
        pictures=pictures,
        finalists=finalists(contents),
        finals_words=finals_words(contents),
        **_check(contents),
        reasons=reasons(contents.records),
        commands=made_by(contents),
        beyond=beyond_options(contents.config),
        space_lines=_lines(space_file(contents.config)),
        versions=versions(),
        light=LIGHT,
        dark=DARK,
        style=Markup(_part("page.css")),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
    )  # fmt: skip


def _environment() -> Environment:
    """Jinja's, in which every text is made harmless and escaped, unless it is our own markup."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    def harmless(value: Any) -> Any:
        if isinstance(value, Markup) or not isinstance(value, str):
            return value
        return plain(value, limit=MAX_TEXT)

    return Environment(
        autoescape=True,
        finalize=harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _part(name: str) -> str:
    """One of the files that the page is made of."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _picture(kind: str, contents: Contents) -> dict[str, Markup | str]:
    """A picture's SVG and its description, or why there is none."""
    from markupsafe import Markup

    try:
        picture = draw(kind, contents)
    except NothingToDraw as why:
        return {"missing": str(why)}
    return {"svg": Markup(to_svg(picture, kind)), "description": picture.description}


def _check(contents: Contents) -> dict[str, Any]:
    """The sentences and the figures of the check of the ranking."""
    try:
        _, certificate = checked(contents)
    except NothingToDraw:
        return {"check_words": [], "taus": []}
    return {"check_words": check_words(certificate), "taus": figures(certificate)}


def _tiles(contents: Contents) -> list[tuple[str, str, str]]:
    """The figures to see first: what, how much, and of which network."""
    tiles = []
    for what, record in (
        ("best candidate", contents.best),
        ("best baseline", contents.best_baseline),
    ):
        if record:
            cost = f"{short_number(record.outcome.parameters)} parameters"
            name = record.subject.name if record.subject.is_baseline else record.subject.label
            tiles.append((what, f"{contents.accuracy(record):.2%}", f"{name}, {cost}"))
    candidates = [r for r in contents.records if r.counts and not r.subject.is_baseline]
    wanted = contents.config.request.trials
    tiles.append(("candidates", f"{len(candidates):,}", f"of {wanted:,} that were asked for"))
    return tiles


def _lines(text: str | None) -> list[str]:
    return [line.replace("\t", " " * 4) for line in (text or "").rstrip().split("\n") if text]
