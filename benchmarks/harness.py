"""What every benchmark says of itself, and how it writes what it found."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas_incep.machine import cpu_threads
from nas_incep.run import versions

RESULTS = Path(__file__).parent / "results"


def conditions() -> dict[str, Any]:
    """Processor, number of CPUs, threads and versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
    return {
        "processor": model,
        "cpus": len(os.sched_getaffinity(0)),
        "threads": cpu_threads(),
        "versions": versions(),
    }


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median, quartiles and number of repeated measurements."""
    low, median, high = statistics.quantiles(values, n=4)
    return {
        "median": round(median, digits),
        "low": round(low, digits),
        "high": round(high, digits),
        "n": len(values),
    }


def write(name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Prints the rows, and writes them with the conditions to `results/NAME.jsonl`."""
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / f"{name}.jsonl", "w", encoding="utf-8") as file:
        for row in [conditions(), *rows]:
            line = json.dumps(row)
            print(line, flush=True)
            file.write(line + "\n")
