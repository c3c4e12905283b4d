"""Foreign text: no terminal, no Rich and no spreadsheet obeys what is in it."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import Any

import pytest
from helpers.records import record
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nas_incep._text import cell, counted, plain
from nas_incep.records import COMPLETE, TrialRecord
from nas_incep.results import leaderboard
from nas_incep.results.tables import to_table
from nas_incep.search.display import Display

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=60)


@given(ANY_TEXT)
def test_plain_text_is_one_line_that_can_be_written(text: str) -> None:
    shown = plain(text)
    shown.encode("utf-8")
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)
    assert len(shown.splitlines()) <= 1
    assert plain(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("an ordinary name, ünïcode 日本", "an ordinary name, ünïcode 日本"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\udce9", r"\udce9"),
        ("\u202etxt", r"\u202etxt"),
        ("[/]", "[/]"),
    ],
)
def test_what_is_escaped(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_long_values_are_cut() -> None:
    assert plain("x" * 1000, limit=10) == "x" * 7 + "..."
    assert plain("x" * 10, limit=10) == "x" * 10


def printed(value: Any) -> str:
    console = Console(width=200, file=io.StringIO(), force_terminal=False)
    with console.capture() as capture:
        console.print(value)
    return capture.get()


@pytest.mark.parametrize("text", ["b[/]", "[red]x[/red]", "[", ":warning:", "a\\", "[link=x]y"])
def test_rich_finds_no_markup(text: str) -> None:
    assert printed(cell(text)).strip() == text
    row = leaderboard.rows([named(text)])
    assert text in printed(to_table(row, 200))
    out = io.StringIO()
    Display(Console(file=out, width=200)).say(text)
    assert out.getvalue().strip() == text


def named(name: str) -> TrialRecord:
    one = record(0, COMPLETE, 0.5)
    return dataclasses.replace(one, subject=dataclasses.replace(one.subject, name=name))


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_spreadsheet_computes_nothing(name: str) -> None:
    rows = list(csv.DictReader(io.StringIO(leaderboard.csv_of(leaderboard.rows([named(name)])))))
    assert rows[0]["name"] == plain("'" + name)
    # Numbers stay numbers, and ordinary names as they are.
    assert rows[0]["val_accuracy"] == "0.5"
    assert rows[0]["kind"] == "candidate"


@given(ANY_TEXT)
def test_any_name_can_be_ranked_in_all_three_forms(name: str) -> None:
    one = named(name)
    json.dumps(leaderboard.rows([one])).encode()
    assert len(leaderboard.csv_of(leaderboard.rows([one])).splitlines()) == 2
    assert len(printed(to_table(leaderboard.rows([one]), 80)).splitlines()) == 2


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 epochs"), (1, "1 epoch"), (2, "2 epochs"), (1000, "1,000 epochs")]
)
def test_one_is_not_many(count: int, said: str) -> None:
    assert counted(count, "epoch") == said


def test_what_ends_in_a_hiss_has_another_plural() -> None:
    assert [counted(n, "search") for n in (1, 2)] == ["1 search", "2 searches"]
    assert [counted(n, "class") for n in (1, 2)] == ["1 class", "2 classes"]
