"""A worker that joins at the very moment at which a search tidies the run folder."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import nullcontext
from pathlib import Path

from helpers.commands import Options, command, started

from nas_incep.results.run import Run
from nas_incep.search.liveness import present
from nas_incep.study.locks import sampling_lock


def waits_for_a_lock(pid: int) -> bool:
    locks = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {pid} " in line for line in locks)


def test_a_search_decides_that_it_is_alone_when_nobody_can_join(
    undisturbed: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(undisturbed, run.path)
    written = run.path / "trials" / ".000077.json.1.tmp"
    left = run.path / "trials" / ".000078.json.1.tmp"
    left.touch()
    with sampling_lock(run.path, run.study_path):
        search = started(command(tiny_space, run.path, "--workers", 0, *table))
        process = search.__enter__()
        deadline = time.monotonic() + 60
        while not waits_for_a_lock(process.pid):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
        # Meanwhile a worker has joined, and writes a record.
        worker = present(run.workers_path, "joined", False, nullcontext())
        worker.__enter__()
        written.touch()
    said = process.communicate(timeout=60)[1]
    search.__exit__(None, None, None)
    assert process.returncode == 0, said
    assert written.exists() and left.exists()
    worker.__exit__(None, None, None)
    with started(command(tiny_space, run.path, "--workers", 0, *table)) as process:
        assert process.communicate(timeout=60) and process.returncode == 0
    assert not written.exists() and not left.exists()


def test_nobody_joins_while_the_sampling_lock_is_held(tmp_path: Path) -> None:
    folder, joined, done = tmp_path / "workers", threading.Event(), threading.Event()

    def join() -> None:
        with present(folder, "joins", False, sampling_lock(tmp_path, tmp_path / "study.journal")):
            joined.set()
            assert done.wait(10)

    with sampling_lock(tmp_path, tmp_path / "study.journal"):
        thread = threading.Thread(target=join)
        thread.start()
        assert not joined.wait(0.3)
        assert list(folder.glob("*")) == list(folder.glob(".*")) == []  # nothing to be swept
    assert joined.wait(10)
    assert [path.name for path in folder.iterdir()] == ["joins"]
    done.set()
    thread.join()
    assert list(folder.iterdir()) == []
