"""The TOML of a space file, which may come from a stranger: parsed within bounds."""

from __future__ import annotations

import re
import sys
from typing import Any

from .._formats import LARGEST
from ..errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Bounds that keep reading and counting any legal file under a second.
MAX_LENGTH = 1 << 18  # characters of a file
# In a line: tomllib takes time and memory for each part of a key with each part before it.
MAX_DOTS = 100

_DOT = re.compile(r"(?<!\.)\.(?!\.)")  # an ellipsis or a dotted line is no key


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """The table of a TOML text. Raises InputError, naming `source`, if it is invalid or large."""
    if len(text) > MAX_LENGTH:
        raise InputError(
            f"{source}: has {len(text):,} characters, at most {MAX_LENGTH:,} are expected"
        )
    for number, line in enumerate(text.split("\n"), 1):
        dots = len(_DOT.findall(line))
        if dots > MAX_DOTS:
            raise InputError(
                f"{source}: line {number} has {dots:,} dots, at most {MAX_DOTS} are expected"
            )
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source}: not valid TOML: {error}") from None
    except ValueError:  # Python refuses to read integers of thousands of digits
        raise InputError(f"{source}: not valid TOML: a number with too many digits") from None
    except RecursionError:
        raise InputError(f"{source}: not valid TOML: nested too deeply") from None
    # TOML's own bound; Python refuses to print numbers of thousands of digits.
    if not _are_integers_small(table):
        raise InputError(f"{source}: not valid TOML: a number with more than 64 bits")
    return table


def _are_integers_small(table: dict[str, Any]) -> bool:
    left: list[Any] = [table]
    while left:
        value = left.pop()
        if isinstance(value, (dict, list)):
            left += value.values() if isinstance(value, dict) else value
        elif isinstance(value, int) and abs(value) > LARGEST:
            return False
    return True
