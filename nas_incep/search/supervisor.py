"""Worker processes on this machine: started, shown, replaced when they die."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from ..errors import InputError, TimeUp, WorkerFault
from ..records import KILLED, Outcome
from ..results.run import Candidates
from ..study.study import WORKER, running
from . import events
from .display import Display
from .liveness import new_name
from .recovery import Shared, baseline_subject, end_dead

STORAGE_VARIABLE = "NAS_INCEP_STORAGE"  # the environment does not show in a list of processes
PREFIX = "nas-incep: "  # of the sentence in which a command says why it ends
TIME_UP = 3  # a worker's exit status
INTERRUPTED = 130  # likewise, after SIGTERM: it has put its trial back
# So many workers in a row that die before they train anything will not get better.
MAX_STILLBORN = 3
PATIENCE = 20.0  # seconds for a worker to put its trial back


@dataclass(frozen=True)
class Slot:
    """What one worker computes with, and the baselines that it is to train first."""

    device: str
    threads: int
    baselines: tuple[str, ...] = ()


@dataclass
class _Child:
    """A worker process, as its supervisor sees it."""

    name: str
    slot: Slot
    process: subprocess.Popen[str]
    stillborn: int  # how many before it died in this slot without having trained anything
    label: str = ""  # of the training that it is at
    fault: str = ""  # the last sentence that it complained with
    open_pipes: int = 2


@dataclass
class _Team:
    """The workers of one search, and what they have said that is not yet shown."""

    shared: Shared
    lock: AbstractContextManager[Any]
    storage_url: str | None
    display: Display
    deadline: float
    candidates: Candidates
    children: list[_Child] = field(default_factory=list)
    lines: queue.SimpleQueue[tuple[_Child, bool, str]] = field(default_factory=queue.SimpleQueue)
    said: set[str] = field(default_factory=set)
    baseline_deaths: Counter[str] = field(default_factory=Counter)
    time_up: bool = False


def last_sentence(complaints: str) -> str:
    """Why a command ended, of all that it wrote to its standard error."""
    return complaints.strip().rpartition("\n")[2].removeprefix(PREFIX)


@contextmanager
def checked(
    devices: Sequence[str], baselines: Sequence[str], precision: str
) -> Iterator[list[int]]:
    """Has a process of its own see, while the block runs, that all that is asked for is there.

    So this process needs neither MXNet's memory nor a GPU's. After the block the list that it was
    given holds the number of GPUs that work. Raises InputError.
    """
    gpus: list[int] = []
    command = [sys.executable, "-m", "nas_incep", "check"]
    command += [f"--device={device}" for device in devices]
    command += [f"--baseline={baseline}" for baseline in baselines]
    command += [f"--precision={precision}"]
    with subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield gpus
        except BaseException:
            process.kill()
            raise
        said, complaints = process.communicate()
    if process.returncode:
        raise InputError(last_sentence(complaints) or "MXNet cannot be loaded")
    gpus.append(int(said.split()[-1]))


def supervise(
    shared: Shared,
    lock: AbstractContextManager[Any],
    slots: Sequence[Slot],
    storage_url: str | None,
    display: Display,
    deadline: float,
) -> None:
    """Runs a worker for each slot until none has anything left to do.

    A worker that dies is replaced; its trial is recorded as killed and queued once more. Raises
    InputError with a worker's own words for what the user can mend, TimeUp at the deadline.
    """
    team = _Team(shared, lock, storage_url, display, deadline, Candidates(shared.run))
    try:
        for slot in slots:
            _start(team, slot)
        while team.children:
            child, is_event, line = team.lines.get()
            if line:
                _show(team, child, is_event, line)
                continue
            child.open_pipes -= 1
            if not child.open_pipes:
                _ended(team, child)
    finally:
        _stop(team.children)
    if team.time_up:
        raise TimeUp


def attach() -> IO[str]:
    """In a worker: binds its life to its supervisor's; gives the stream for its events."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else prints must not get among the events

    def end_with_supervisor() -> None:
        sys.stdin.read()
        os._exit(1)  # as sudden as the supervisor's end: what is left is seen to as after any

    threading.Thread(target=end_with_supervisor, daemon=True).start()
    return stream


def _start(team: _Team, slot: Slot, stillborn: int = 0) -> None:
    name = new_name()
    command = [sys.executable, "-m", "nas_incep", "worker", str(team.shared.run.path)]
    command += ["--debug"] if "--debug" in sys.argv else []
    command += ["--supervised-as", name, "--device", slot.device, "--threads", str(slot.threads)]
    if team.deadline < float("inf"):
        command += ["--timeout", str(max(0.001, team.deadline - time.monotonic()))]
    for baseline in slot.baselines:
        command += ["--baseline", baseline]
    environment = dict(os.environ)
    environment.pop(STORAGE_VARIABLE, None)
    if team.storage_url:
        environment[STORAGE_VARIABLE] = team.storage_url
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # its end tells the worker that its supervisor is gone
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",  # whatever else may print to them
        env=environment,
        start_new_session=True,  # Ctrl-C is for the supervisor, which then ends them in order
    )
    child = _Child(name, slot, process, stillborn)
    team.children.append(child)
    for stream, is_event in ((process.stdout, True), (process.stderr, False)):
        threading.Thread(target=_read, args=(team, child, stream, is_event), daemon=True).start()


def _read(team: _Team, child: _Child, stream: IO[str], is_event: bool) -> None:
    try:
        for line in stream:
            # What is cut off comes of a worker's death, and the empty string says that it ended.
            if line.strip() and line.endswith("\n"):
                team.lines.put((child, is_event, line))
    finally:
        team.lines.put((child, is_event, ""))


def _show(team: _Team, child: _Child, is_event: bool, line: str) -> None:
    if not is_event:
        # Its last sentence may be why it ends, which is then this search's last sentence, too.
        text = line.rstrip()
        if child.fault:
            team.display.say(child.fault)
        child.fault = text[len(PREFIX) :] if text.startswith(PREFIX) else ""
        if not child.fault:
            team.display.say(text)
        return
    event, *values = events.parse(line)
    if event == "start":
        child.label, child.stillborn = values[0], -1
    if event == "say":
        # All workers find out that a space is exhausted; once is enough.
        if values[0] in team.said:
            return
        team.said.add(values[0])
    events.show(event, values, team.display)
    if event == "end":
        child.label = ""


def _ended(team: _Team, child: _Child) -> None:
    """Sees to what a worker's end means: its work is done, or the search's, or a new one is due."""
    status = child.process.wait()
    team.children.remove(child)
    if status in (0, TIME_UP):
        team.time_up |= status == TIME_UP
        if child.fault:
            team.display.say(child.fault)
    elif status == 2:
        raise InputError(child.fault or "a worker ended with exit status 2")
    elif status == 1:
        raise WorkerFault(child.fault or "a worker ended with exit status 1")
    else:
        _replace(team, child, status)


def _replace(team: _Team, child: _Child, status: int) -> None:
    cause = f"its worker was ended by {_signal_name(status)}"
    if status == INTERRUPTED:
        team.display.say("a worker was asked to end; a new one takes its place")
    if child.label:
        team.display.leave(child.label)
    run = team.shared.run
    with team.lock:
        left = [t for t in running(team.shared.study) if t.user_attrs.get(WORKER) == child.name]
        records = end_dead(team.shared, left, team.candidates, cause, team.display.say)
    for record in records:
        died = record.outcome.state == KILLED and record.counts
        if died and record.subject.trial in {t.number for t in left}:
            team.display.end(record)
    (run.workers_path / child.name).unlink(missing_ok=True)
    slot = child.slot
    if child.label.startswith("baseline "):
        slot = _without_deadly(team, slot, child.label.partition(" ")[2], cause)
    if child.stillborn + 1 < MAX_STILLBORN:
        _start(team, slot, child.stillborn + 1)
        return
    fault = f"{MAX_STILLBORN} workers on {slot.device} died before they trained anything: {cause}"
    if not team.children:
        raise InputError(fault)
    team.display.say(f"{fault}; the search goes on without")


def _without_deadly(team: _Team, slot: Slot, name: str, cause: str) -> Slot:
    """The slot without a baseline that has killed its worker twice."""
    team.baseline_deaths[name] += 1
    if team.baseline_deaths[name] < 2:
        team.display.say(f"baseline {name}: {cause}; it is tried again")
        return slot
    subject = baseline_subject(team.shared.request, name)
    record = team.shared.config.record(subject, Outcome(KILLED, cause), {}, 0.0)
    team.shared.run.entry(subject).write(record)
    team.display.end(record)
    left = tuple(spec for spec in slot.baselines if spec.lower() != name)
    return Slot(slot.device, slot.threads, left)


def _signal_name(status: int) -> str:
    """Of a signal that a process died of, or of its exit status as a shell would give it."""
    number = -status if status < 0 else status - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit status {status}"


def _stop(children: list[_Child]) -> None:
    """Ends workers in order: each puts its trial back. One that does not answer is killed."""
    for child in children:
        child.process.terminate()
    deadline = time.monotonic() + PATIENCE
    for child in children:
        try:
            child.process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
