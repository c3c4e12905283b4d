"""The ranking as a table for a terminal: one line for each network, as wide as there is room."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._text import cell, plain
from ..errors import InputError
from ..records import BASELINE, COMPLETE, PRUNED, TIMED_OUT
from .leaderboard import short_blocks, short_number

if TYPE_CHECKING:
    from rich.table import Table

Row = Mapping[str, Any]

_SHORTEST_NAME = 12  # an identity's length
_USUAL_NAME = 38  # longer names are shown whole where no further column needs the room
_STYLES = {COMPLETE: "green", PRUNED: "yellow", TIMED_OUT: "yellow"}  # of states; others are red


@dataclass(frozen=True)
class Column:
    """A column of the table: its heading, the text of a row in it, and the value to sort by."""

    heading: str
    text: Callable[[Row], str]
    value: Callable[[Row], Any]
    descending: bool = False  # the best value is the highest
    is_text: bool = False


def accuracy_of(row: Row) -> float | None:
    """What a row's network is reported by: the mean over seeds, where there is one."""
    mean = row.get("mean_accuracy")
    accuracy: float | None = row["val_accuracy"] if mean is None else mean
    return accuracy


def _accuracy(row: Row) -> str:
    error = row.get("standard_error")
    return _fixed(accuracy_of(row), 4) + ("" if error is None else f" ± {error:.4f}")


def _epochs(row: Row) -> Any:
    """Those of the trainings behind the accuracy that is shown."""
    return row.get("mean_epochs") or row["epochs"]


def _ranks(row: Row) -> str:
    low, high = row.get("rank_low"), row.get("rank_high")
    return "-" if low is None or high is None else f"{low}-{high}" if low != high else str(low)


def _plain_column(heading: str, key: str, digits: int, descending: bool = False) -> Column:
    return Column(heading, lambda row: _fixed(row[key], digits), lambda row: row[key], descending)


# By the names that --sort takes.
COLUMNS = {
    "rank": _plain_column("rank", "rank", 0),
    "front": Column("front", lambda row: "*" if row["pareto"] else "", lambda row: row["pareto"],
                    True, True),
    "name": Column("name", lambda row: plain(row["name"], 150), lambda row: row["name"],
                   False, True),
    "accuracy": Column("accuracy", _accuracy, accuracy_of, True),
    "params": Column("params", lambda row: short_number(row["parameters"]),
                     lambda row: row["parameters"]),
    "macs": Column("MACs", lambda row: short_number(row["macs"]), lambda row: row["macs"]),
    "latency": _plain_column("latency ms", "latency_ms", 2),
    "state": Column("state", lambda row: row["state"], lambda row: row["state"], False, True),
    "ranks": Column("ranks", _ranks, lambda row: row.get("rank_low")),
    "trial": _plain_column("trial", "trial", 0),
    "kind": Column("kind", lambda row: row["kind"], lambda row: row["kind"], False, True),
    "epochs": Column("epochs", lambda row: _fixed(_epochs(row), 0), lambda row: _epochs(row)),
    "seconds": _plain_column("train s", "train_seconds", 1),
    "speed": _plain_column("img/s", "images_per_second", 0, True),
    "blocks": Column("blocks", lambda row: short_blocks(row["blocks"]),
                     lambda row: row["blocks"], False, True),
}  # fmt: skip
ESSENTIAL = ("rank", "front", "name", "accuracy", "params", "macs", "latency", "state")
# What comes in as there is room, the most useful first.
FURTHER = ("ranks", "trial", "kind", "epochs", "seconds", "speed", "blocks")


def sort_rows(rows: Sequence[Row], column: str | None, top: int | None) -> list[Row]:
    """The rows by a column, best first, cut to the first `top`; rows without a value come last.

    By default they keep their order, that of the ranks. Raises InputError for an unknown column.
    """
    ordered = list(rows)
    if column is not None:
        if column not in COLUMNS:
            raise InputError(f"--sort {column}: one of {', '.join(COLUMNS)} is expected")
        chosen = COLUMNS[column]
        known = [row for row in rows if chosen.value(row) is not None]
        known.sort(key=chosen.value, reverse=chosen.descending)
        ordered = known + [row for row in rows if chosen.value(row) is None]
    return ordered[:top]


def to_table(rows: Sequence[Row], width: int | None) -> Table:
    """The table of `leaderboard.rows`, at most `width` characters wide; None: all columns.

    Where not even the essential columns fit, names are cut, and never a number.
    """
    names = [name for name in ESSENTIAL if _is_shown(name, rows)]
    further = [name for name in FURTHER if _is_shown(name, rows)]
    for name in further:
        wider = [*names, name]
        if width is None or _needed(wider, rows, _USUAL_NAME) <= width:
            names = wider
    room = math.inf if width is None else width - _needed(names, rows, 0)
    order = [name for name in COLUMNS if name in names]
    return _table(order, rows, max(_SHORTEST_NAME, room))


def _is_shown(name: str, rows: Sequence[Row]) -> bool:
    """Whether a column that only some runs have says something."""
    if name in ("front", "latency", "ranks"):
        return any(COLUMNS[name].value(row) is not None for row in rows)
    return True


def _needed(names: Sequence[str], rows: Sequence[Row], longest_name: int) -> int:
    """The width in characters of a table whose names have at most so many."""
    total = 2 * (len(names) - 1)
    for name in names:
        texts = [COLUMNS[name].heading, *(COLUMNS[name].text(row) for row in rows)]
        needed = max(map(len, texts))
        total += min(needed, longest_name) if name == "name" else needed
    return total


def _table(names: Sequence[str], rows: Sequence[Row], longest_name: float) -> Table:
    from rich.table import Table
    from rich.text import Text

    # Two blanks between the columns, no lines.
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold underline")
    for name in names:
        column = COLUMNS[name]
        table.add_column(
            column.heading, justify="left" if column.is_text else "right", no_wrap=True
        )
    for row in rows:
        cells: list[Text] = []
        for name in names:
            text = COLUMNS[name].text(row)
            if name == "name" and len(text) > longest_name:
                text = plain(text, int(longest_name))
            style = _STYLES.get(row["state"], "red") if name == "state" else ""
            shown = cell(text, limit=10_000)
            shown.stylize(style)
            cells.append(shown)
        table.add_row(*cells, style=_row_style(row))
    return table


def _row_style(row: Row) -> str:
    if row["kind"] == BASELINE:
        return "bold cyan" if row["rank"] == 1 else "cyan"
    return "bold" if row["rank"] == 1 else ""


def _fixed(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
