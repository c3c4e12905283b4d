"""What does a trial cost beside its training, and a worker in memory, as the history grows?

    python benchmarks/overhead.py [--short] [--threads N] [--trials N] [--storage URL]

Searches the space `quick` on digits with a training of one batch, and looks at the times between
the records: what is not training or evaluation is overhead, of drawing, comparing, building,
initializing, writing and telling. The worker's memory is looked at while it works.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import environment, options, spread, verdict, write

from nas_incep.results.run import Run

TRIALS, SHORT_TRIALS = 1100, 40
TARGET = 0.3  # seconds


def main() -> None:
    parser = options(__doc__, rounds=False)
    parser.add_argument("--trials", type=int, help=f"default: {TRIALS}, short {SHORT_TRIALS}")
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--storage")
    parser.add_argument("--name", default="overhead", help="of the file in results/")
    args = parser.parse_args()
    args.trials = args.trials or (SHORT_TRIALS if args.short else TRIALS)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "run")
        memory = search(run, args)
        records = [record for record in run.records() if not record.subject.is_baseline]
        ends = [run.entry(record.subject).record_path.stat().st_mtime for record in records]
        curves = [record.outcome.curve for record in records]
        # Of those that were trained; the others come and go in less time.
        overheads = [
            now - before - sum(point.train_seconds + point.eval_seconds for point in curve)
            for before, now, curve in zip(ends, ends[1:], curves[1:])
            if curve
        ]
        part = min(100, len(overheads))
        last = len(overheads) - part
        rows = [
            {"trained": f"{k} to {k + part - 1}", "overhead_s": spread(overheads[k : k + part])}
            for k in sorted({k for k in (0, 100, 400, 900, last) if 0 <= k <= last})
        ]
        rows.append(verdict("overhead of a trial, in seconds", overheads[last:], below=TARGET))
        rows.append({"trials": len(records)})
        rows.append({"worker_rss_mb_after_trials": memory})
        write(args.name, rows, args.threads, args.short)


def search(run: Run, args: argparse.Namespace) -> dict[int, float]:
    """Runs the search; the worker's memory in MB by the number of trials that it has done."""
    command = [sys.executable, "-m", "nas_incep", "search", "quick", "--run", str(run.path)]
    command += ["--trials", str(args.trials), "--baseline", "none", "--epochs", "1"]
    command += ["--batch-size", "32", "--images-per-epoch", "32", "--sampler", args.sampler]
    command += ["--threads", str(args.threads)]
    command += ["--storage", args.storage] if args.storage else []
    memory = {}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        done, line = 0, ""
        for line in process.stderr or ():
            done += " complete: " in line
            if done in (20, 100, 200, 500, 1000) and done not in memory:
                memory[done] = rss(process.pid)
    if process.returncode:
        sys.exit(line.strip() or f"the search ended with status {process.returncode}")
    return memory


def rss(supervisor: int) -> float:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    status = Path(f"/proc/{children[0]}/status").read_text()
    return round(int(status.partition("VmRSS:")[2].split()[0]) / 1024, 1)


if __name__ == "__main__":
    main()
