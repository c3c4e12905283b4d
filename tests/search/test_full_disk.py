"""A full disk is told with the file that could not be written.

A limit on the size of files stands in for it: the writes fail in the same places.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import SEARCH, Options, run_cli

LIMITED = (
    "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    "size = int(sys.argv.pop(1)); resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)); "
    "from nas_incep.cli import main; main()"
)


def file_of(size: int, *arguments: object) -> str:
    """The file that a command names which can write files of at most `size` bytes."""
    command = [sys.executable, "-c", LIMITED, str(size), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and "Logging error" not in done.stderr
    found = re.search(r"^nas-incep: (\S+): File too large$", done.stderr, re.MULTILINE)
    assert found, done.stderr
    return found[1]


@pytest.mark.parametrize(("size", "name"), [(300, "run.json"), (5000, "study.journal")])
def test_a_search_names_its_file(
    size: int, name: str, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = ("search", tiny_space, "--run", run, "--baseline", "none", "--workers", 0)
    assert file_of(size, *arguments, *SEARCH, *table, "--trials", 9) == str(run / name)


def test_a_record_and_a_checkpoint_are_named(tmp_path: Path) -> None:
    """Records, weights and checkpoints are all written by these two."""
    for code, size in (
        ("from nas_incep._files import write_json; write_json(path, [0] * 999)", 100),
        (
            "import numpy; from nas_incep._params import write_params; "
            "write_params(path, {'x': numpy.zeros(99999)})",
            9000,
        ),
    ):
        whole = LIMITED.replace(
            "from nas_incep.cli import main; main()", f"path = Path('x'); {code}"
        )
        command = [sys.executable, "-c", f"from pathlib import Path; {whole}", str(size)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert "OSError: [Errno 27] File too large: 'x'" in done.stderr.splitlines()[-1]
        assert not list(tmp_path.iterdir())


def test_an_export_names_its_target(finished_run: Path, tmp_path: Path) -> None:
    assert file_of(10_000, "export", finished_run, tmp_path / "best") == str(tmp_path / "best")
    assert not list(tmp_path.iterdir())


def test_a_full_standard_output_is_named(table_run: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nas_incep", "leaderboard", table_run, "--format", "csv"],
            stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "nas-incep: standard output: No space left on device\n"


def test_a_run_folder_whose_name_is_not_utf8_is_refused(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / os.fsdecode(b"r\xff")
    done = run_cli("search", tiny_space, "--run", run, "--baseline", "none", *SEARCH, *table)
    assert done.returncode == 2, done.stderr
    assert "a name in UTF-8 is expected" in done.stderr
    assert not list(tmp_path.iterdir())
