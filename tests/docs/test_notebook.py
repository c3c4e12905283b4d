"""The notebook in docs/ has been executed, and its code still runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat

PATH = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
NOTEBOOK = nbformat.read(PATH, as_version=4)
CELLS = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]


def test_it_was_executed_from_top_to_bottom() -> None:
    nbformat.validate(NOTEBOOK)
    assert [cell.execution_count for cell in CELLS] == list(range(1, len(CELLS) + 1))
    outputs = [output for cell in CELLS for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_its_code_runs(tmp_path: Path) -> None:
    # The notebook calls the command as its reader does.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(cell.source for cell in CELLS)],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "agg", "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "best" / "manifest.json").exists()
