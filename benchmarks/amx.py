"""AMX with MXNet in bfloat16: what it gains, and whether it computes what it should.

    python benchmarks/amx.py [--short] [--rounds N] [--threads N] [--network NAME]
    python benchmarks/amx.py --emulate COMMAND [ARGUMENT ...]

The first needs a processor with AMX: the bare step in float32, in bfloat16 without AMX and with it.

The second runs a command, such as `python -m pytest tests/engines/gluon/test_packed.py` or
`nas-incep search ... --precision bfloat16`, on a processor with AVX-512 and bfloat16 that lacks
AMX, with its instructions emulated: oneDNN takes the kernels that it takes on an Intel Xeon, and
they compute the same, some hundred times as slowly. It needs gcc and objdump, and copies MXNet.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import networks
import ours
from harness import Contestant, environment, options, race, ratios, rounds, serve, spread, write

from nas_incep._machine import has_amx, has_bfloat16

WITHOUT = {"DNNL_MAX_CPU_ISA": "AVX512_CORE_BF16"}
WAYS = {
    "float32": ("float32", {}),
    "bfloat16": ("bfloat16", WITHOUT),
    "bfloat16, AMX": ("bfloat16", {}),
}


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for network, batches in networks.chosen(args).items():
        contestants = [
            Contestant(
                name,
                ours.asked(network, precision, batches, args.threads),
                environment(**settings),
                "step",
            )
            for name, (precision, settings) in WAYS.items()
        ]
        speeds = race(contestants, rounds(args))
        for name, values in speeds.items():
            gain = {"to_float32": spread(ratios(values, speeds["float32"]))}
            rows.append(
                {"network": network, "way": name, "images_per_s": spread(values, 1), **gain}
            )
    return rows


def emulate(command: list[str]) -> int:
    """The exit status of the command, run with AMX emulated."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        library = place / "amx_emulation.so"
        source = Path(__file__).with_name("amx_emulation.c")
        compiler = ["gcc", "-O3", "-march=native", "-shared", "-fPIC", "-o", library, source]
        subprocess.run([*compiler, "-ldl"], check=True)
        _without_cpuid(place / "packages")
        cpuinfo = place / "cpuinfo"
        told = Path("/proc/cpuinfo").read_text()
        cpuinfo.write_text(re.sub(r"(?m)^(flags\s*:.*)$", r"\1 amx_bf16 amx_tile amx_int8", told))
        paths = [str(place / "packages"), os.environ.get("PYTHONPATH", "")]
        settings = {
            "LD_PRELOAD": str(library),
            "AMX_CPUINFO": str(cpuinfo),
            "DNNL_MAX_CPU_ISA": "AVX512_CORE_AMX",  # the commands set it themselves, tests do not
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }
        return subprocess.run(command, env={**os.environ, **settings}).returncode


def _without_cpuid(folder: Path) -> None:
    """Copies MXNet, with UD2 in place of each CPUID: the emulation answers."""
    found = importlib.util.find_spec("mxnet")
    package = Path(found.submodule_search_locations[0])
    shutil.copytree(package, folder / package.name)
    library = folder / package.name / "libmxnet.so"
    sections = _output("readelf", "-SW", library)
    address, offset = re.search(r"\s\.text\s+PROGBITS\s+(\w+)\s+(\w+)", sections).groups()
    shift = int(offset, 16) - int(address, 16)
    code = _output("objdump", "-d", "--no-show-raw-insn", library)
    with open(library, "r+b") as file:
        for place in re.findall(r"(?m)^\s*(\w+):\s+cpuid", code):
            file.seek(int(place, 16) + shift)
            file.write(b"\x0f\x0b")


def _output(*command: Any) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> int:
    parser = options(__doc__)
    networks.add_options(parser)
    parser.add_argument("--emulate", nargs=argparse.REMAINDER, metavar="COMMAND")
    args = parser.parse_args()
    if args.serve:
        serve({"ours": ours.blocks}, args.serve)
    elif args.emulate and has_amx():
        sys.exit("this processor has AMX: run the command as it is")
    elif args.emulate and has_bfloat16():
        return emulate(args.emulate)
    elif not has_amx():
        sys.exit("this processor has no AMX; --emulate needs AVX-512 with bfloat16")
    else:
        write("amx", measure(args), args.threads, args.short)
    return 0


if __name__ == "__main__":
    sys.exit(main())
