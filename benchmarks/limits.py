"""What limits each network: how far from the processor's peak is it, and where does the time go?

    python benchmarks/limits.py [--short] [--threads N] [--network NAME]

The peak is that of a large product of matrices in the same library, oneDNN, with the same threads.
A training step counts as three times the network's multiply-accumulates (forward, and backward for
images and for weights), of the architecture as it is, without the packed form's padding.
Where the time goes, oneDNN says itself, primitive by primitive; `reorder` is the change from one
memory layout to another. The rest of the step is MXNet's own operators and the way between them.
"""

from __future__ import annotations

import collections
import ctypes
import os
import statistics
import subprocess
import sys
import time
from typing import Any

import networks
import ours
from harness import environment, options, rounds, write

from nas_incep.engines.gluon.tuning import tune

SIZE = 4096  # of the square matrices


def peak(precision: str, threads: int, repeats: int) -> float:
    """Multiply-accumulates a second, in units of 1e9."""
    tune(threads, "cpu")
    from nas_incep.engines.gluon.packed import DTYPES
    from nas_incep.engines.gluon.runtime import mx

    size = (SIZE, SIZE)
    arrays = [mx.nd.random.uniform(-1, 1, size) for _ in range(2)]
    if precision != "float32":
        arrays = [mx.nd.amp_cast(array, dtype=DTYPES[precision]) for array in arrays]
    times = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        mx.nd.FullyConnected(*arrays, num_hidden=SIZE, no_bias=True).wait_to_read()
        times.append(time.perf_counter() - begun)
    return SIZE**3 / statistics.median(times[1:]) / 1e9


def steps(network: str, precision: str, batches: int, threads: int) -> None:
    """Prints how long that many steps took, once with and once without oneDNN's own words."""
    work = ours.blocks(network, precision, batches, threads)["step"]
    for _ in range(2):
        work()
    libc = ctypes.CDLL(None)
    libc.fflush(None)
    os.write(1, b"begin\n")
    begun = time.perf_counter()
    work()
    seconds = time.perf_counter() - begun
    libc.fflush(None)
    os.write(1, f"end {seconds}\n".encode())


def child(arguments: str, **variables: str) -> list[str]:
    """What this script prints in a process of its own."""
    command = [sys.executable, __file__, "--serve", arguments]
    done = subprocess.run(command, env=environment(**variables), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip().rpartition("\n")[2])
    return done.stdout.splitlines()


def step_seconds(lines: list[str], batches: int) -> float:
    return float(lines[-1].removeprefix("end ")) / batches


def by_primitive(lines: list[str], batches: int) -> dict[str, float]:
    """Milliseconds of a step by the kind of oneDNN's primitive and its direction."""
    totals: collections.Counter[str] = collections.Counter()
    for line in lines[lines.index("begin") :]:
        fields = line.split(",")
        if fields[:2] == ["dnnl_verbose", "exec"]:
            direction = "" if fields[5] == "undef" else f" {fields[5].replace('_training', '')}"
            totals[fields[3] + direction] += float(fields[-1])
    return {kind: round(total / batches, 2) for kind, total in totals.most_common()}


def main() -> None:
    parser = options(__doc__)
    networks.add_options(parser)
    args = parser.parse_args()
    if args.serve:
        what, *more = args.serve.split("/")
        if what == "peak":
            print(peak(more[0], int(more[1]), int(more[2])))
        else:
            steps(more[0], more[1], int(more[2]), int(more[3]))
        return
    rows: list[dict[str, Any]] = []
    for precision in ours.precisions():
        said = child(f"peak/{precision}/{args.threads}/{rounds(args)}")
        top = float(said[-1])
        rows.append({"precision": precision, "peak_gmacs_per_s": round(top, 1)})
        for network, batches in networks.chosen(args).items():
            work = f"steps/{network}/{precision}/{batches}/{args.threads}"
            seconds = statistics.median(
                step_seconds(child(work), batches) for _ in range(1 if args.short else 3)
            )
            macs = 3 * networks.NETWORKS[network].macs * networks.BATCH
            loud = child(work, DNNL_VERBOSE="1")
            rows.append(
                {
                    "network": network,
                    "precision": precision,
                    "step_ms": round(1000 * seconds, 2),
                    "part_of_peak": round(macs / seconds / 1e9 / top, 3),
                    "watched_step_ms": round(1000 * step_seconds(loud, batches), 2),
                    "onednn_ms": by_primitive(loud, batches),
                }
            )
    write("limits", rows, args.threads, args.short)


if __name__ == "__main__":
    main()
