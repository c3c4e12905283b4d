"""The short form of tests/fuzz.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")  # one of the formats is its engine's

FUZZ = Path(__file__).with_name("fuzz.py")


def test_no_damage_of_a_file_harms() -> None:
    done = subprocess.run(
        [sys.executable, FUZZ, "--mutations", "190", "--seed", "1"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "190 mutations, seed 1: 0 faults" in done.stdout
