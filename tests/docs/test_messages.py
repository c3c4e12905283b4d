"""The messages in docs/troubleshooting.md are those of the program."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from nas_incep.cli import STATUSES, STOPPED

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^### `(.*)`$", TEXT, re.MULTILINE)
VARIES = "…"


def template(node: ast.AST) -> str:
    """A string of the source, with what is filled in as `…`; empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) or VARIES for part in node.values)
    return ""


SOURCE = [
    template(node)
    for path in (ROOT / "nas_incep").rglob("*.py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_in_the_source(message: str) -> None:
    parts = message.split(VARIES)
    near = [text for text in SOURCE if all(part in text for part in parts)]
    assert any(re.search(".*".join(map(re.escape, parts)), text) for text in near)


def test_there_are_messages_without_repetition() -> None:
    assert len(MESSAGES) > 20
    assert len(set(MESSAGES)) == len(MESSAGES)


def test_the_exit_statuses() -> None:
    statuses = set(map(int, re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)))
    assert statuses == {0, STOPPED, *STATUSES.values()}
