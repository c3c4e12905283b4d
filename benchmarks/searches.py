"""Simulated searches over the project's table: what samplers and pruners find, at what cost.

    python benchmarks/searches.py [--repeats 300] [--missing]

Runs `nas-incep simulate` with the options of each row of docs/evidence.md. `--missing` runs only
the rows that the results lack; the same options give the same figures on any machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from evidence import TABLE
from harness import RESULTS, write

ROWS = (
    "--sampler random --trials 11",
    "--sampler random --trials 24",
    "--sampler random --trials 24 --pruner sha --first-rung 1 --prune-by validation",
    "--sampler random --trials 24 --pruner sha --first-rung 1",
    "--sampler random --trials 24 --pruner sha --prune-by validation",
    "--sampler random --trials 24 --pruner sha",
    # After one epoch only a candidate that is then the best of all so far goes on.
    "--sampler random --trials 24 --pruner sha --first-rung 1 --reduction 24",
    "--sampler random --trials 24 --pruner hyperband",
    "--sampler random --trials 24 --pruner median",
    "--sampler tpe --trials 24",
    "--sampler evolution --trials 24",
    "--sampler grid --trials 24",
    "--sampler nsga2 --trials 24",
    # About as many images as 24 trainings, or as 24 with `sha`, finals included.
    "--sampler random --trials 21 --finals 0.3",
    "--sampler tpe --trials 21 --finals 0.3",
    "--sampler random --trials 18 --pruner sha --finals 0.3",
)


def row(options: str, repeats: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "nas_incep", "simulate", str(TABLE), *options.split()]
    command += [] if "--finals" in options else ["--finals", "none"]
    command += ["--repeats", str(repeats), "--format", "json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    (found,) = json.loads(done.stdout)["samplers"].values()
    last = dict(found["moments"][-1])
    images = last.pop("cost")
    return {"options": options, "after": last.pop("after"), "images": images, **last}


def known() -> dict[str, dict[str, Any]]:
    """The rows of the results, by their options."""
    lines = (RESULTS / "searches.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    return {found["options"]: found for found in map(json.loads, lines)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--missing", action="store_true")
    args = parser.parse_args()
    kept = known() if args.missing else {}
    rows = [kept.get(options) or row(options, args.repeats) for options in ROWS]
    write("searches", rows, threads=1)


if __name__ == "__main__":
    main()
