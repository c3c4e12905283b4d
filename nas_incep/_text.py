"""Text for a terminal. What comes from outside may contain control sequences."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

# C0 and C1 controls, DEL, lone surrogates, line separators, and bidirectional controls.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def plain(value: object, limit: int = 400) -> str:
    """A value as one line of text, with control characters escaped, cut to `limit` characters."""
    text = _UNSAFE.sub(lambda match: _escape(match[0]), str(value))
    return text if len(text) <= limit else text[: limit - 3] + "..."


def gist(error: BaseException) -> str:
    """The line of an exception's message that says what is wrong.

    MXNet's comes last, after a traceback in C++; others' comes first, and PyTorch's advice on
    debugging CUDA after it.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return "no message"
    of_mxnet = type(error).__module__.partition(".")[0] == "mxnet"
    return lines[-1 if of_mxnet or lines[0].startswith("Traceback") else 0]


def counted(count: int, thing: str) -> str:
    """`1 epoch`, `2 epochs`, `1,000 epochs`, `2 searches`."""
    ending = "" if count == 1 else "es" if thing.endswith(("s", "arch")) else "s"
    return f"{count:,} {thing}{ending}"


def cell(value: object, limit: int = 400) -> Text:
    """Like `plain`, as a Rich text in which markup and emoji codes have no effect."""
    from rich.text import Text

    return Text(plain(value, limit))


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
