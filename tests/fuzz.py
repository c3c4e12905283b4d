"""Damages every format that a stranger can hand us, and checks what our readers do with it.

    python tests/fuzz.py --mutations 10000 --seed 1
    python tests/fuzz.py --seed 1 --formats bundle --case 123

A reader must succeed or raise one of our own errors with one line, within a bound of memory and
time, without writing or deleting outside of the folder, starting a process or opening a pickle.
The cases of a format run in one child process, which is started anew after a fault.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.dont_write_bytecode = True

from helpers.fuzz_formats import FORMATS  # noqa: E402

from nas_incep import errors  # noqa: E402

OURS = tuple(kind for kind in vars(errors).values() if isinstance(kind, type))
MEMORY = 512 << 20  # bytes of address space, beside what the process has at its start
SECONDS = 20  # for one case, beside other work
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# The events of sys.addaudithook, with how many of their arguments are paths that change.
CHANGES = {
    **{f"os.{name}": 1 for name in ("remove", "rmdir", "mkdir", "truncate", "chmod", "utime")},
    "os.rename": 2,
    "os.link": 2,
}
RELATIVE = ("os.remove", "os.rmdir", "os.mkdir")  # those whose last argument is an open folder
NEVER = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect")
NEVER += ("pickle.find_class",)


class Watch:
    """Notes what a reader does outside of its folder; Python cannot take such a hook back."""

    def __init__(self) -> None:
        self.inside: str | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.inside is None:
            return
        if event in NEVER:
            self.seen.append(f"{event} {arguments!r:.200}")
        elif event == "open":
            path, _, flags = arguments
            if flags and flags & WRITES and not isinstance(path, int):
                self._check(event, path)
        elif event in CHANGES:
            folder = arguments[-1] if event in RELATIVE else -1  # an open folder
            for path in arguments[: CHANGES[event]]:
                if not isinstance(path, int) and folder >= 0:
                    path = os.path.join(f"/proc/self/fd/{folder}", os.fsdecode(path))
                self._check(event, path)

    def _check(self, event: str, path: Any) -> None:
        text = os.fsdecode(path) if not isinstance(path, int) else ""
        if not text or (event == "os.mkdir" and os.path.lexists(text)):
            return
        # What is removed or renamed is a link itself, not what it leads to.
        folder, name = os.path.split(os.path.abspath(text))
        real = os.path.realpath(text if event == "open" else folder)
        real = real if event == "open" else os.path.join(real, name)
        if os.path.commonpath([real, str(self.inside)]) != self.inside:
            self.seen.append(f"{event} {real}")


def contents(folder: Path) -> dict[str, Any]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def run_case(name: str, seed: int, case: int, work: Path, watch: Watch) -> tuple[str, str]:
    """Damages a sample and reads it. Returns what was done, and the fault or nothing."""
    folder, outside = work / "case" / "inside", work / "case" / "outside"
    shutil.rmtree(work / "case", ignore_errors=True)
    shutil.copytree(work / name, folder, symlinks=True)
    shutil.copytree(work / "outside", outside)
    done = FORMATS[name].damage(folder, outside, random.Random(f"{seed}/{name}/{case}"))
    before, watch.seen, watch.inside = contents(outside), [], str(folder.resolve())
    fault = ""
    try:
        FORMATS[name].read(folder)
    except OURS as error:
        if "\n" in str(error):
            fault = f"a message of several lines: {str(error)!r:.300}"
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if "nas_incep" in f.filename] or frames
        place = f"{Path(own[-1].filename).name}:{own[-1].lineno}"
        fault = f"{type(error).__name__} at {place}: {str(error)[:300]!r}"
    finally:
        watch.inside = None
    gc.collect()
    if watch.seen:
        fault += f"; did {'; '.join(watch.seen[:3])}"
    if contents(outside) != before:
        fault += "; something outside has changed"
    return done, fault


def child(name: str, seed: int, cases: list[int], work: Path, out: int) -> None:
    """Runs cases and writes a line before and after each."""
    os.dup2(os.open(work / "errors", os.O_RDWR | os.O_CREAT | os.O_APPEND), 2)
    # What is valid is read, and everything that loads late is loaded.
    shutil.rmtree(work / "valid", ignore_errors=True)
    shutil.copytree(work / name, work / "valid", symlinks=True)
    # The pickles are refused in any case.
    with contextlib.suppress(errors.InputError if name == "pickles" else ()):
        FORMATS[name].read(work / "valid")
    shutil.rmtree(work / "valid")
    warnings.simplefilter("error", RuntimeWarning)
    watch = Watch()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for case in cases:
        os.write(out, f"{json.dumps([case])}\n".encode())
        started = time.monotonic()
        done, fault = run_case(name, seed, case, work, watch)
        answer = [case, done, fault, time.monotonic() - started]
        os.write(out, f"{json.dumps(answer)}\n".encode())


def forked(function: Any, *arguments: Any) -> tuple[int, int]:
    """Runs a function in a copy of this process; its id and a pipe that the function writes to."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(read)
            function(*arguments, write)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write)
    return pid, read


def answers(name: str, seed: int, cases: list[int], work: Path) -> Iterator[list[Any]]:
    """For each case [case, what was done, fault, seconds]; survives the death of the child."""
    left = list(cases)
    while left:
        pid, pipe = forked(child, name, seed, left, work)
        began, text, fault = None, b"", ""
        while True:
            if not select.select([pipe], [], [], SECONDS)[0]:
                fault = f"no end within {SECONDS} s"
                os.kill(pid, signal.SIGKILL)
                break
            data = os.read(pipe, 1 << 16)
            if not data:
                break
            text += data
            *lines, text = text.split(b"\n")
            for line in lines:
                answer = json.loads(line)
                began = answer[0]
                if len(answer) > 1:
                    left.remove(began)
                    yield answer
        os.close(pipe)
        status = os.waitpid(pid, 0)[1]
        if left:
            dead = left[0] if began is None or began not in left else began
            left.remove(dead)
            said = (work / "errors").read_text().strip().rpartition("\n")[2]
            yield [dead, "", fault or f"the process ended with status {status}: {said}", 0.0]


def make_samples(names: list[str], work: Path) -> None:
    """Valid files of each format, made in a process of its own, and something to be left alone."""

    def make(_: int) -> None:
        made: dict[Any, Path] = {}  # by what makes them: some formats have the same sample
        for name in names:
            maker = FORMATS[name].make
            if maker in made:
                shutil.copytree(made[maker], work / name)
            else:
                (work / name).mkdir()
                maker(work / name)
                made[maker] = work / name

    pid, pipe = forked(make)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit("the samples could not be made")
    os.close(pipe)
    for name in ("secret", "x.params", ".x.json.1.tmp", "x.json", "000001.json", "f/.y.tmp"):
        path = work / "outside" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    (work / "outside" / "x.checkpoint").mkdir()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=10_000, help="cases of all formats")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", nargs="*", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--case", type=int, help="only this case of the formats")
    given = parser.parse_args()
    each = max(1, given.mutations // len(given.formats))
    cases = list(range(each)) if given.case is None else [given.case]
    faults = total = 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        work = Path(folder)
        make_samples(given.formats, work)
        for name in given.formats:
            slowest, bad = 0.0, 0
            for case, done, fault, seconds in answers(name, given.seed, cases, work):
                slowest, bad, total = max(slowest, seconds), bad + bool(fault), total + 1
                if fault or given.case is not None:
                    print(f"{name} --seed {given.seed} --case {case}: {done}: {fault or 'fine'}")
            print(f"{name}: {len(cases)} cases, {bad} faults, slowest {slowest:.1f} s", flush=True)
            faults += bad
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(work / "case")
    print(f"{total} mutations, seed {given.seed}: {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
