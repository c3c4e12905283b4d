"""Simulated searches over the project's table: what samplers and pruners find, at what cost.

    python benchmarks/searches.py [--repeats 300]

Runs `nas-incep simulate` with the options of each row of docs/evidence.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from evidence import TABLE
from harness import write

ROWS = (
    "--sampler random --trials 11",
    "--sampler random --trials 24",
    "--sampler random --trials 24 --pruner sha --first-rung 1 --prune-by validation",
    "--sampler random --trials 24 --pruner sha --first-rung 1",
    "--sampler random --trials 24 --pruner sha --prune-by validation",
    "--sampler random --trials 24 --pruner sha",
    "--sampler random --trials 24 --pruner hyperband",
    "--sampler random --trials 24 --pruner median",
    "--sampler tpe --trials 24",
    "--sampler evolution --trials 24",
)


def row(options: str, repeats: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "nas_incep", "simulate", str(TABLE), *options.split()]
    command += ["--finals", "none", "--repeats", str(repeats), "--format", "json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    (found,) = json.loads(done.stdout)["samplers"].values()
    return {"options": options, **found["moments"][-1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=300)
    args = parser.parse_args()
    write("searches", [row(options, args.repeats) for options in ROWS], threads=1)


if __name__ == "__main__":
    main()
