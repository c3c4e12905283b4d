"""How long until a command answers and a worker is ready?

    python benchmarks/startup.py [--short] [--threads N]

Each line is a process from its start to its end. `nas-incep check` loads MXNet and asks for the
device, as a worker does before its first trial. Beside them, what cannot be saved: Python itself,
and MXNet as it comes.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from harness import environment, options, round_robin, rounds, spread, write

PROCESSES = {
    "python alone": ["-c", "pass"],
    "import mxnet alone": ["-c", "import numpy; numpy.bool = bool; import mxnet"],
    "import nas_incep": ["-c", "import nas_incep"],
    "import nas_incep.gluon": ["-c", "import nas_incep.gluon"],
    "nas-incep --help": ["-m", "nas_incep", "--help"],
    "nas-incep check (a worker is ready)": [
        "-m",
        "nas_incep",
        "check",
        "--engine",
        "gluon",
        "--classes",
        "10",
        "--image-shape",
        "1,8,8",
    ],
}


def timed(arguments: Sequence[str], variables: dict[str, str]) -> Callable[[], float]:
    def measure() -> float:
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *arguments], env=variables, capture_output=True, text=True
        )
        seconds = time.perf_counter() - begun
        if done.returncode:
            sys.exit(f"{' '.join(arguments)}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
        return seconds

    return measure


def main() -> None:
    args = options(__doc__).parse_args()
    variables = environment(OMP_NUM_THREADS=str(args.threads))
    # The first round reads the files from the disk.
    processes = {name: timed(arguments, variables) for name, arguments in PROCESSES.items()}
    seconds = round_robin(processes, rounds(args), warm_up=1)
    rows = [{"process": name, "seconds": spread(values)} for name, values in seconds.items()]
    write("startup", rows, args.threads, args.short)


if __name__ == "__main__":
    main()
