"""One search of CIFAR-10 by each engine, with the same seed: do they find and rank the same?

    python benchmarks/cifar_search.py FOLDER --data-dir DIR

Both draw the same networks (random sampling), train them briefly and the best again, for longer;
then how well one engine's brief accuracies agree with the other's is printed. Runs that are in
FOLDER already go on, so the script can be stopped at any time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from harness import write

import nas_incep
from nas_incep.results.fidelity import kendall

OPTIONS = (
    *("--sampler", "random", "--trials", "24", "--epochs", "2", "--images-per-epoch", "5120"),
    *("--finals", "0.4", "--final-epochs", "8", "--baseline", "cifar_resnet20_v1"),
    *("--device", "cpu", "--threads", "1", "--workers", "2"),
)


def searched(engine: str, folder: Path, data: Path) -> dict[str, Any]:
    """What a search has found: its leaderboard, its brief accuracies by name, and its time."""
    run = folder / engine
    command = ["search", "nin_small", "--run", str(run), "--dataset", "cifar10", *OPTIONS]
    command += ["--data-dir", str(data), "--engine", engine]
    subprocess.run([sys.executable, "-m", "nas_incep", *command], check=True)
    opened = nas_incep.open_run(run)
    trials, curves = opened.trials(), opened.curves()
    finished = pd.to_datetime(trials["finished"])
    begun = finished - pd.to_timedelta(trials["seconds"], unit="s")
    brief = curves[(curves["kind"] == "candidate") & (curves["stage"] == "search")]
    return {
        "engine": engine,
        "options": OPTIONS,
        # From the start of the first training to the end of the last one, with all pauses.
        "seconds": round((finished.max() - begun.min()).total_seconds()),
        "images": int(curves["images"].sum()),
        "leaderboard": json.loads(opened.leaderboard().to_json(orient="records")),
        "brief": brief.groupby("name")["val_accuracy"].last().to_dict(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    args = parser.parse_args()
    rows = [searched(engine, args.folder, args.data_dir) for engine in ("gluon", "torch")]
    one, other = (row["brief"] for row in rows)
    common = sorted(one.keys() & other.keys())
    a, b = (np.array([brief[name] for name in common]) for brief in (one, other))
    agreement = {
        "networks": len(common),
        "tau": round(kendall(a, b, np.ones(len(common))), 3),
        "mean_difference": round(100 * float((b - a).mean()), 2),
        "deviation_of_differences": round(100 * float((b - a).std(ddof=1)), 2),
    }
    write("cifar_search", [*rows, agreement], threads=1)


if __name__ == "__main__":
    main()
