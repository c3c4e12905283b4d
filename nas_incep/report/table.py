"""The leaderboard of a page: its columns, with texts to read and values to sort by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._text import counted
from ..results.leaderboard import short_blocks, short_number

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One column: its title, the text of a row, and the row's value to sort by, None last.

    `falls` tells whether the largest value comes first, when one begins to sort by it.
    """

    title: str
    text: Callable[[Row], str]
    value: Callable[[Row], Any]
    is_number: bool = True
    falls: bool = False


def columns(rows: tuple[Row, ...]) -> list[Column]:
    """The columns that at least one of the rows has something for."""
    return [column for column in _ALL if any(column.value(row) is not None for row in rows)]


def _key(name: str) -> Callable[[Row], Any]:
    return lambda row: row.get(name)


def _formatted(name: str, pattern: str) -> Callable[[Row], str]:
    return lambda row: "-" if row.get(name) is None else pattern.format(row[name])


def _number(title: str, name: str, pattern: str, falls: bool = False) -> Column:
    return Column(title, _formatted(name, pattern), _key(name), falls=falls)


def _text(title: str, name: str) -> Column:
    return Column(title, _formatted(name, "{}"), _key(name), is_number=False)


def _short(title: str, name: str) -> Column:
    return Column(title, lambda row: short_number(row[name]), _key(name))


def mean_text(row: Row) -> str:
    """The mean over seeds with its standard error, where these are known."""
    if row.get("mean_accuracy") is None:
        return "-"
    error = row.get("standard_error")
    text = f"{row['mean_accuracy']:.2%}" + ("" if error is None else f" ± {error:.2%}")
    longer = row["mean_epochs"] != row["epochs"]
    return f"{text} after {counted(row['mean_epochs'], 'epoch')}" if longer else text


def rank_interval(row: Row) -> str:
    """The possible ranks of a row, and whether it may be the best."""
    low, high = row.get("rank_low"), row.get("rank_high")
    if low is None or high is None:
        return "-"
    tied = ", tied with the best" if row.get("tied_with_best") else ""
    return (f"{low}" if low == high else f"{low} to {high}") + tied


def _blocks(row: Row) -> str:
    return short_blocks(row["blocks"]) if row["blocks"] else "-"


_ALL = (
    _number("Rank", "rank", "{}"),
    Column("Rank interval", rank_interval, _key("rank_low")),
    _text("Kind", "kind"),
    _number("Trial", "trial", "{}"),
    _text("Name", "name"),
    Column("Blocks", _blocks, lambda row: row["blocks"] and _blocks(row), is_number=False),
    _number("Validation accuracy", "val_accuracy", "{:.2%}", falls=True),
    Column("Mean accuracy", mean_text, _key("mean_accuracy"), falls=True),
    _number("Seeds", "seeds", "{}"),
    _number("Epochs", "epochs", "{}"),
    _short("Parameters", "parameters"),
    _short("MACs", "macs"),
    _number("Latency ms", "latency_ms", "{:.2f}"),
    _number("Train s", "train_seconds", "{:.1f}"),
    _number("Images/s", "images_per_second", "{:,.0f}", falls=True),
    _text("State", "state"),
    Column("Front", lambda row: "yes" if row["pareto"] else "no", _key("pareto"), is_number=False),
    _text("Chosen by", "chosen_by"),
    _text("Reported by", "reported_by"),
)
