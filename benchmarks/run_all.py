"""Are the targets met? The short form of every speed benchmark, and one table of what they found.

    python benchmarks/run_all.py [--threads N]

Takes less than ten minutes on two cores. The results go to benchmarks/results/short, which is not
published; the full form of a benchmark is that script without --short.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import SHORT_RESULTS, has_torch
from rich.console import Console
from rich.table import Table

from nas_incep._machine import cpu_threads
from nas_incep.engines import load_engine

SCRIPTS = ("startup", "overhead", "pipeline", "training", "workers", "peers")


def scripts() -> tuple[str, ...]:
    """Those for this machine: on a CPU alone the figures of `gpu` would mean nothing."""
    if has_torch() and load_engine("torch").count_gpus():
        return (*SCRIPTS, "gpu")
    return SCRIPTS


def run(script: str, threads: int) -> bool:
    """Runs one script in its short form, its rows unseen; whether it went well."""
    command = [sys.executable, str(Path(__file__).with_name(f"{script}.py")), "--short"]
    begun = time.perf_counter()
    done = subprocess.run([*command, "--threads", str(threads)], stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    outcome = f"failed with status {done.returncode}" if done.returncode else f"{seconds:.0f} s"
    print(f"{script}: {outcome}", file=sys.stderr)
    return done.returncode == 0


def verdicts(script: str) -> Iterator[dict[str, Any]]:
    for line in (SHORT_RESULTS / f"{script}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if "question" in row:
            yield row


def table(rows: list[dict[str, Any]]) -> Table:
    out = Table(title="short form: a first look, not for publishing", title_justify="left")
    for column in ("question", "measured", "quartiles", "target", "met"):
        justify = "right" if column in ("measured", "quartiles") else "left"
        out.add_column(column, justify=justify, overflow="fold")
    for row in rows:
        measured, met = row["measured"], {True: "yes", False: "NO", None: ""}[row.get("met")]
        out.add_row(
            row["question"],
            f"{measured['median']:.2f}",
            f"{measured['low']:.2f} to {measured['high']:.2f}",
            row.get("target", ""),
            met,
        )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=cpu_threads())
    args = parser.parse_args()
    done = {script: run(script, args.threads) for script in scripts()}
    rows = [row for script, well in done.items() if well for row in verdicts(script)]
    Console().print(table(rows))
    # A target that is missed is a finding; a script that fails is a fault.
    sys.exit(not all(done.values()))


if __name__ == "__main__":
    main()
