"""How long until a command answers and a worker is ready?

    python benchmarks/startup.py [--short] [--threads N]

Each line is a process from its start to its end, and beside it the CPU time of the process and its
children, which other work on the machine stretches less. All commands show their help, and those
that end by themselves and neither train nor search are called on the finished run of a small
search. `nas-incep check` loads MXNet and asks for the device, as a worker does before its first
trial. Beside them, what cannot be saved: Python itself, and MXNet as it comes.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import environment, options, rounds, spread, verdict, write
from PIL import Image

import nas_incep
from nas_incep.cli import COMMANDS

MODULE = ("-m", "nas_incep")
PROCESSES: dict[str, Sequence[str]] = {
    "python alone": ("-c", "pass"),
    "import mxnet alone": ("-c", "import numpy; numpy.bool = bool; import mxnet"),
    "import nas_incep": ("-c", "import nas_incep"),
    "import nas_incep.gluon": ("-c", "import nas_incep.gluon"),
    "nas-incep --help": (*MODULE, "--help"),
    "nas-incep check (a worker is ready)": (
        *MODULE,
        *("check", "--engine", "gluon", "--classes", "10", "--image-shape", "1,8,8"),
    ),
}
SMALL = ("--trials", "3", "--epochs", "1", "--images-per-epoch", "128", "--finals", "none")
SMALL += ("--baseline", "none", "--workers", "1", "--device", "cpu")
# Of the finished run, in the folder where it lies. They neither train nor draw nor load an engine.
READING = (
    ("leaderboard", "run"),
    ("compare", "run", "copy"),
    ("describe", "run"),
    ("spaces",),
    ("spaces", "quick"),
    ("data",),
    ("data", "digits"),
    ("export", "run", "bundle", "--force"),
)
# Matplotlib, or an engine, is most of these.
LOADING = (
    ("report", "run"),
    ("plot", "run", "progress", "--output", "progress.png"),
    ("predict", "best", "digit.png"),
    ("verify", "best"),
    ("evaluate", "best", "--split", "test"),
    ("probe", "best/architecture.json", "--dataset", "digits"),
    ("convert", "cifar_resnet20_v1", "networks", "--force"),
    ("register", "best", "mine"),
)
LIMIT = 0.5  # seconds of CPU time for a command that reads and shows


def timed(
    arguments: Sequence[str], variables: Mapping[str, str], folder: Path
) -> tuple[float, float]:
    """Seconds of a process, and CPU time with its children's; one that fails ends the program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], env=variables, capture_output=True, text=True, cwd=folder
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def prepare(folder: Path, variables: Mapping[str, str]) -> None:
    """A small search with its bundle, a copy of the run, and an image."""
    for command in (("search", "quick", "--run", "run", *SMALL), ("export", "run", "best")):
        timed((*MODULE, *command), variables, folder)
    shutil.copytree(folder / "run", folder / "copy")
    Image.new("L", (8, 8)).save(folder / "digit.png")


def processes(short: bool) -> dict[str, Sequence[str]]:
    """What is started, by what a reader may type; in the short form nothing of LOADING."""
    shown = [command.name for command in COMMANDS if not command.hidden]
    helped = {f"nas-incep {name} --help": (*MODULE, str(name), "--help") for name in shown}
    calls = READING if short else (*READING, *LOADING)
    called = {f"nas-incep {' '.join(call)}": (*MODULE, *call) for call in calls}
    return {**PROCESSES, **helped, **called}


def measure(count: int, threads: int, short: bool) -> dict[str, list[tuple[float, float]]]:
    """Of each process, `count` pairs as `timed` gives them; the processes take turns."""
    started = processes(short)
    warm_up = 0 if short else 1  # that round reads the files from the disk
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in started}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        # What `register` writes stays there, too.
        variables = environment(OMP_NUM_THREADS=str(threads), MXNET_HOME=str(folder / "home"))
        variables["PYTHONPATH"] = str(Path(nas_incep.__file__).parents[1])
        prepare(folder, variables)
        for _ in range(warm_up + count):
            for name, arguments in started.items():
                measured[name].append(timed(arguments, variables, folder))
    return {name: pairs[warm_up:] for name, pairs in measured.items()}


def row(name: str, pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    seconds, cpu_seconds = zip(*pairs)
    return {"process": name, "seconds": spread(seconds), "cpu_seconds": spread(cpu_seconds)}


def main() -> None:
    args = options(__doc__).parse_args()
    measured = measure(rounds(args), args.threads, args.short)
    rows = [row(name, pairs) for name, pairs in measured.items()]
    reading = [f"nas-incep {' '.join(call)}" for call in READING]
    reading += [name for name in measured if name.endswith("--help")]
    cpu = {name: [pair[1] for pair in measured[name]] for name in reading}
    slowest = max(cpu, key=lambda name: statistics.median(cpu[name]))
    question = "CPU seconds of the slowest command that only reads and shows"
    rows.append(verdict(question, cpu[slowest], below=LIMIT, command=slowest))
    write("startup", rows, args.threads, args.short)


if __name__ == "__main__":
    main()
