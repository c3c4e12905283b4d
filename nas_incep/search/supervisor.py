"""Start worker processes on this machine, show their progress, replace those that die."""

from __future__ import annotations

import dataclasses
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from .._processes import PREFIX, own_command, signal_name
from ..engines.specs import split_folder
from ..errors import InputError, SearchFailed, StorageGone, TimeUp, WorkerFault
from ..records import KILLED, Outcome
from ..results.known import Known
from . import events
from .display import Display
from .liveness import new_name
from .recovery import Recovery, Shared

STORAGE_VARIABLE = "NAS_INCEP_STORAGE"  # unlike an option, not visible in a list of processes
# Exit statuses of a worker beyond those of the command line.
TIME_UP = 75
SPENT = 76  # its training took all memory: a new process goes on
LOST = 77  # its device fell over; a new process may be able to use it
INTERRUPTED = 130  # after SIGTERM: it has put its trial back
# What a worker's exit status means for its search.
FAULTS = {1: WorkerFault, 2: InputError, 3: SearchFailed, 4: StorageGone}
# After this many workers in a row that die before they train anything, another would die, too.
MAX_STILLBORN = 3
# After this many workers in a row that lost their device, as two networks can cost by two attempts.
MAX_LOST = 4
WITHOUT = "the search goes on without this slot"
PATIENCE = 20.0  # seconds for a worker to put its trial back


@dataclass(frozen=True)
class Slot:
    """The device and CPU threads of one worker, and the baselines that it trains first."""

    device: str
    threads: int
    baselines: tuple[str, ...] = ()


@dataclass
class _Child:
    """A worker process, as its supervisor sees it."""

    name: str
    slot: Slot
    process: subprocess.Popen[str]
    stillborn: int  # how many predecessors in this slot died before training anything
    lost: int  # how many of them have lost their device since one trained a network
    label: str = ""  # of its current training
    done: str = ""  # what it trained last
    fault: str = ""  # its last error message
    open_pipes: int = 2


def attach() -> IO[str]:
    """Makes this worker exit with its supervisor; returns the stream for its events."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # other output must not mix with the events

    def end_with_supervisor() -> None:
        sys.stdin.read()
        os._exit(1)  # abruptly, like the supervisor: recovery handles the trial as after any crash

    threading.Thread(target=end_with_supervisor, daemon=True).start()
    return stream


class Supervisor:
    """The workers of one search on this machine."""

    def __init__(
        self,
        shared: Shared,
        storage_url: str | None,
        display: Display,
        deadline: float,
    ) -> None:
        """`deadline` is a time.monotonic() value; `storage_url` may contain a password."""
        self._shared, self._storage_url = shared, storage_url
        self._display, self._deadline = display, deadline
        self._recovery = Recovery(shared, Known(shared.run), display.say)
        self._children: list[_Child] = []
        # Output of the workers: (child, whether it is an event, line); an empty line ends a stream.
        self._lines: queue.SimpleQueue[tuple[_Child, bool, str]] = queue.SimpleQueue()
        self._said: set[str] = set()
        self._baseline_deaths: Counter[str] = Counter()
        self._time_up = False

    def run(self, slots: Sequence[Slot]) -> None:
        """Runs a worker for each slot until no work is left.

        A worker that dies is replaced; its trial is recorded as killed and retried once. Raises
        TimeUp at the deadline, and the error with which a worker failed, with its message.
        """
        try:
            for slot in slots:
                self._start(slot)
            while self._children:
                child, is_event, line = self._lines.get()
                if line:
                    self._show(child, is_event, line)
                    continue
                child.open_pipes -= 1
                if not child.open_pipes:
                    self._see_to_end(child)
        finally:
            self._stop()
        if self._time_up:
            raise TimeUp

    def _start(self, slot: Slot, stillborn: int = 0, lost: int = 0) -> None:
        name = new_name()
        arguments: list[object] = ["worker", self._shared.run.path, "--supervised-as", name]
        arguments += ["--device", slot.device, "--threads", slot.threads]
        if self._deadline < float("inf"):
            arguments += ["--timeout", max(0.001, self._deadline - time.monotonic())]
        arguments += [f"--baseline={baseline}" for baseline in slot.baselines]
        environment = dict(os.environ)
        environment.pop(STORAGE_VARIABLE, None)
        if self._storage_url:
            environment[STORAGE_VARIABLE] = self._storage_url
        process = subprocess.Popen(
            own_command(*arguments),
            stdin=subprocess.PIPE,  # closes when this process dies, which ends the worker
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",  # libraries may print anything
            env=environment,
            start_new_session=True,  # Ctrl-C is for the supervisor, which stops the workers
        )
        child = _Child(name, slot, process, stillborn, lost)
        self._children.append(child)
        for stream, is_event in ((process.stdout, True), (process.stderr, False)):
            threading.Thread(target=self._read, args=(child, stream, is_event), daemon=True).start()

    def _read(self, child: _Child, stream: IO[str], is_event: bool) -> None:
        try:
            with stream:
                for line in stream:
                    # A line without its end was cut off by the worker's death.
                    if line.strip() and line.endswith("\n"):
                        self._lines.put((child, is_event, line))
        finally:
            self._lines.put((child, is_event, ""))

    def _show(self, child: _Child, is_event: bool, line: str) -> None:
        if not is_event:
            # Its last message may be why it failed; then the search fails with the same message.
            text = line.rstrip()
            if child.fault:
                self._display.say(child.fault)
            child.fault = text[len(PREFIX) :] if text.startswith(PREFIX) else ""
            if not child.fault:
                self._display.say(text)
            return
        event, *values = events.parse(line)
        if event == "start":
            child.label, child.stillborn = values[0], -1
        if event == "say":
            # Every worker notices that a space is exhausted; one message is enough.
            if values[0] in self._said:
                return
            self._said.add(values[0])
        events.show(event, values, self._display)
        if event == "end":
            child.label, child.done = "", child.label
            if values[0].outcome.curve:
                child.lost = 0

    def _see_to_end(self, child: _Child) -> None:
        """Handles a worker's exit: it is done, or the search has failed, or it is replaced."""
        status = _ended(child)
        self._children.remove(child)
        if status in (0, TIME_UP):
            self._time_up |= status == TIME_UP
            if child.fault:
                self._display.say(child.fault)
        elif status == SPENT:
            self._start(_without_done(child.slot, child.done))
        elif status == LOST:
            child.lost += 1
            self._replace(child, child.fault or "its device was lost")
        elif FAULTS.get(status) is InputError and child.lost and self._children:
            self._display.say(f"{child.fault}; {WITHOUT}")
        elif status in FAULTS:
            raise FAULTS[status](child.fault or f"a worker ended with exit status {status}")
        else:
            if status == INTERRUPTED:
                self._display.say("a worker was asked to end; a new one takes its place")
            self._replace(child, f"its worker was ended by {signal_name(status)}")

    def _replace(self, child: _Child, cause: str) -> None:
        if child.label:
            self._display.leave(child.label)
        self._requeue_trials_of(child, cause)
        (self._shared.run.workers_path / child.name).unlink(missing_ok=True)
        slot = child.slot
        if child.label.startswith("baseline "):
            slot = self._without_deadly(slot, child.label.partition(" ")[2], cause)
        if child.stillborn + 1 >= MAX_STILLBORN:
            fault = f"{MAX_STILLBORN} workers on {slot.device} died before they trained anything: "
        elif child.lost >= MAX_LOST:
            fault = f"{MAX_LOST} workers in a row lost their device: "
        else:
            self._start(slot, child.stillborn + 1, child.lost)
            return
        if not self._children:
            raise SearchFailed(fault + cause)
        self._display.say(f"{fault}{cause}; {WITHOUT}")

    def _requeue_trials_of(self, child: _Child, cause: str) -> None:
        study = self._shared.study
        with study.lock:
            left = [trial for trial in study.running() if trial.worker == child.name]
            given_up = self._recovery.give_up(left, cause)
        for record in given_up:
            self._display.end(record)

    def _without_deadly(self, slot: Slot, name: str, cause: str) -> Slot:
        """The slot, without the baseline if it has killed its worker twice."""
        self._baseline_deaths[name] += 1
        if self._baseline_deaths[name] < 2:
            self._display.say(f"baseline {name}: {cause}; it is tried again")
            return slot
        subject = self._shared.request.baseline(name)
        record = self._shared.config.record(subject, Outcome(KILLED, cause), {}, 0.0)
        self._shared.run.entry(subject).write(record)
        self._display.end(record)
        left = tuple(spec for spec in slot.baselines if split_folder(spec)[1] != name)
        return dataclasses.replace(slot, baselines=left)

    def _stop(self) -> None:
        """Stops the workers so that each puts its trial back; kills those that do not respond."""
        for child in self._children:
            child.process.terminate()
        deadline = time.monotonic() + PATIENCE
        for child in self._children:
            try:
                _ended(child, timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                _ended(child)


def _ended(child: _Child, timeout: float | None = None) -> int:
    """The exit status of a worker that ends now; closes our end of the pipe that it waits on."""
    status = child.process.wait(timeout)
    if child.process.stdin:
        child.process.stdin.close()
    return status


def _without_done(slot: Slot, last: str) -> Slot:
    """The slot without the baselines up to the one that was trained last; all, if a candidate."""
    names = [f"baseline {split_folder(spec)[1]}" for spec in slot.baselines]
    left = slot.baselines[names.index(last) + 1 :] if last in names else ()
    return dataclasses.replace(slot, baselines=left)
