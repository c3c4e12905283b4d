"""CITATION.cff, and what a source distribution is to have."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_citation_is_of_this_version() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    for key, name in (("version", "version"), ("license", "license")):
        found = re.search(rf"^{key}: (.*)$", citation, re.MULTILINE)
        assert found and found[1] == setup["metadata"][name]
