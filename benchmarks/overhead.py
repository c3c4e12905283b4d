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
        ends = sorted(
            (run.candidate_path(r.trial).stat().st_mtime_ns / 1e9, r) for r in candidates(run)
        )
        overheads = [
            (now - before - sum(p.train_seconds + p.eval_seconds for p in record.curve), record)
            for (before, _), (now, record) in zip(ends, ends[1:])
        ]
        rows = [
            {
                "history": f"{start} to {start + 99}",
                "overhead_s": spread([s for s, _ in overheads[start : start + 100]]),
                "of_untrained_s": [
                    round(s, 3) for s, r in overheads[start : start + 100] if not r.curve
                ][:5],
            }
            for start in (0, 100, 400, 900, args.trials - 110)
            if 0 <= start <= args.trials - 110
        ]
        write(args.name, [*rows, {"worker_rss_mb_after_trials": memory}])


def candidates(run: Run) -> list:
    return [record for record in run.records() if record.kind == "candidate"]


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
