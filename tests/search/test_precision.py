"""A search in bfloat16, from the command line to the verified bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.commands import run_cli
from helpers.engines import ENGINES

from nas_incep._machine import has_bfloat16
from nas_incep.results.run import Run

pytestmark = pytest.mark.skipif(
    not has_bfloat16(), reason="this processor does not multiply in bfloat16"
)


# MXNet's automatic mixed precision would slow a zoo's network down.
BASELINES_IN = {"gluon": "float32", "torch": "bfloat16"}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_search_in_bfloat16_says_so_everywhere(engine: str, tmp_path: Path) -> None:
    run, best = tmp_path / "run", tmp_path / "best"
    search = ("search", "quick", "--run", run, "--trials", 2, "--epochs", 2)
    search += ("--baseline", "cifar_resnet20_v1", "--threads", 1, "--engine", engine)
    done = run_cli(*search, "--precision", "bfloat16")
    assert done.returncode == 0, done.stderr
    assert "bfloat16" in done.stdout
    found = {(r.subject.kind, r.environment["precision"]) for r in Run(run).records()}
    assert found == {("candidate", "bfloat16"), ("baseline", BASELINES_IN[engine])}
    assert run_cli("export", run, best).returncode == 0
    verified = run_cli("verify", best)
    assert verified.returncode == 0, verified.stderr
    assert "trained in bfloat16, evaluated in float32 then and now): verified" in verified.stdout
    # All networks of a ranking are trained alike.
    other = run_cli(*search)
    assert other.returncode == 2
    assert "precision was 'bfloat16', now 'float32'" in other.stderr
