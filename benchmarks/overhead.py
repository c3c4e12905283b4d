"""What does a trial cost beside its training, and a worker in memory, as the history grows?

    python benchmarks/overhead.py [--trials N] [--storage URL]

Searches the space `quick` on digits with a training of one batch, and looks at the times between
the records: what is not training or evaluation is overhead, of drawing, comparing, building,
initialising, writing and telling. The worker's memory is looked at while it works.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import spread, write

from nas_incep.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=1100)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--storage")
    parser.add_argument("--name", default="overhead", help="of the file in results/")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "run")
        memory = search(run, args)
        records = [record for record in run.records() if record.kind == "candidate"]
        ends = [run.candidate_path(record.trial).stat().st_mtime for record in records]
        overheads = [
            now - before - sum(point.train_seconds + point.eval_seconds for point in record.curve)
            for before, now, record in zip(ends, ends[1:], records[1:])
        ]
        last = len(overheads) - 100
        rows = [
            {"history": f"{k} to {k + 99}", "overhead_s": spread(overheads[k : k + 100])}
            for k in sorted({k for k in (0, 100, 400, 900, last) if 0 <= k <= last})
        ]
        write(args.name, [*rows, {"worker_rss_mb_after_trials": memory}])


def search(run: Run, args: argparse.Namespace) -> dict[int, float]:
    """Runs the search; the worker's memory in MB by the number of trials that it has done."""
    command = [sys.executable, "-m", "nas_incep", "search", "quick", "--run", str(run.path)]
    command += ["--trials", str(args.trials), "--baseline", "none", "--epochs", "1"]
    command += ["--batch-size", "32", "--images-per-epoch", "32", "--sampler", args.sampler]
    command += ["--storage", args.storage] if args.storage else []
    memory = {}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        done = 0
        for line in process.stderr or ():
            done += " complete: " in line
            if done in (20, 100, 200, 500, 1000) and done not in memory:
                memory[done] = rss(process.pid)
    assert process.returncode == 0
    return memory


def rss(supervisor: int) -> float:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    status = Path(f"/proc/{children[0]}/status").read_text()
    return round(int(status.partition("VmRSS:")[2].split()[0]) / 1024, 1)


if __name__ == "__main__":
    main()
