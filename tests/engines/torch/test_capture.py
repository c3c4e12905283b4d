"""How steps are run on a GPU: what is timed, what is chosen, and what a failed capture changes.

The GPU is a stand-in that counts steps: what is captured is not computed until it is replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

from nas_incep.engines.torch import capture

FIRST_REPLAY = capture.WARM_UP + capture.TIMED
CHOSEN_AT = FIRST_REPLAY + capture.TIMED


class Gpu:
    """Counts the steps that it computes, and takes a given time for each, by kind."""

    def __init__(self, eager: float, graph: float, fault: str = "") -> None:
        self.times = {"eager": eager, "graph": graph}
        self.fault = fault
        self.now, self.captures, self.done = 0.0, 0, []  # type: ignore[var-annotated]
        self.is_capturing = False

    def step(self) -> None:
        if self.is_capturing:
            if self.fault:
                raise RuntimeError(self.fault)
            self.captures += 1
        else:
            self.compute("eager")

    def compute(self, kind: str) -> None:
        self.now += self.times[kind]
        self.done.append(kind)

    @contextmanager
    def graph(self, graph: Any, stream: Any) -> Iterator[None]:
        self.is_capturing = True
        try:
            yield
        finally:
            self.is_capturing = False

    def torch(self, deterministic: bool = False) -> Any:
        @contextmanager
        def stream(one: Any) -> Iterator[None]:
            yield

        def streams() -> Any:
            return SimpleNamespace(wait_stream=lambda other: None)

        cuda = SimpleNamespace(
            Stream=streams,
            current_stream=streams,
            stream=stream,
            synchronize=lambda: None,
            empty_cache=lambda: None,
            CUDAGraph=lambda: SimpleNamespace(replay=lambda: self.compute("graph")),
            graph=self.graph,
        )
        return SimpleNamespace(
            cuda=cuda, are_deterministic_algorithms_enabled=lambda: deterministic
        )


Patched = Callable[..., tuple[Gpu, capture.Steps]]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Patched:
    def make(
        eager: float, graph: float, fault: str = "", deterministic: bool = False, **more: bool
    ) -> tuple[Gpu, capture.Steps]:
        gpu = Gpu(eager, graph, fault)
        monkeypatch.setattr(capture, "torch", gpu.torch(deterministic))
        monkeypatch.setattr(capture.time, "perf_counter", lambda: gpu.now)
        return gpu, capture.Steps(gpu.step, True, **more)

    return make


def kinds(count: int, *parts: tuple[str, int]) -> list[str]:
    listed = [kind for kind, length in parts for _ in range(length)]
    return listed + [listed[-1]] * (count - len(listed))


@pytest.mark.parametrize(
    ("eager", "graph", "chosen"),
    [(3.0, 1.0, "graph"), (1.0, 3.0, "eager"), (2.0, 2.0, "eager")],
)
def test_the_faster_way_stays_and_every_step_counts(
    eager: float, graph: float, chosen: str, on: Patched
) -> None:
    gpu, steps = on(eager, graph)
    for count in range(1, CHOSEN_AT + 11):
        steps.run()
        assert len(gpu.done) == count
    assert gpu.done == kinds(
        CHOSEN_AT + 10, ("eager", FIRST_REPLAY), ("graph", capture.TIMED), (chosen, 1)
    )
    assert gpu.captures == 1 and steps.chosen == chosen


def test_the_first_steps_are_not_timed(on: Patched) -> None:
    gpu, steps = on(1.0, 2.0)
    gpu.times["eager"] = 1000.0  # libraries are loaded
    for _ in range(capture.WARM_UP):
        steps.run()
    gpu.times["eager"] = 1.0
    for _ in range(2 * capture.TIMED + 1):
        steps.run()
    assert steps.chosen == "eager"


@pytest.mark.parametrize("fault", ["operation not permitted when stream is capturing", "no memory"])
def test_what_cannot_be_captured_runs_step_by_step(fault: str, on: Patched) -> None:
    gpu, steps = on(3.0, 1.0, fault)
    for _ in range(CHOSEN_AT + 10):
        steps.run()
    assert gpu.done == ["eager"] * (CHOSEN_AT + 10)
    assert steps.chosen == "eager" and list(steps.ways()) == ["eager"]


def test_a_fault_in_a_step_is_not_taken_for_one_of_the_capture(on: Patched) -> None:
    _, steps = on(3.0, 1.0)

    def fail() -> None:
        raise RuntimeError("CUDA out of memory")

    steps._step = fail
    with pytest.raises(RuntimeError, match="out of memory"):
        steps.run()


@pytest.mark.parametrize("more", [{"deterministic": True}, {"capturable": False}])
def test_some_steps_are_never_captured(more: dict[str, bool], on: Patched) -> None:
    gpu, steps = on(3.0, 1.0, **more)
    for _ in range(CHOSEN_AT + 10):
        steps.run()
    assert gpu.done == ["eager"] * (CHOSEN_AT + 10) and gpu.captures == 0
    assert steps.chosen == "eager"


def test_on_a_cpu_the_loss_is_read_at_once() -> None:
    steps = capture.Steps(lambda: None, False)
    assert list(steps.ways()) == ["eager"]
    assert steps.look(capture.torch.tensor([2.5, 1.0])) == 2.5
