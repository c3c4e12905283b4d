"""Runs training steps: one by one, or replayed from a CUDA graph where that is faster.

A step of a small network is hundreds of kernels, which take the host longer to launch than the GPU
to run. A graph launches them all at once. Where the GPU is busy anyway it gains nothing, and some
operators cannot be captured; so some steps of both ways are timed, and the faster one stays.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ..._text import gist
from .runtime import torch

log = logging.getLogger(__name__)

# Steps before the first timed one: libraries are loaded, and kernels chosen.
WARM_UP = 4
TIMED = 8
# How many looks at the losses are under way.
LOOKS = 2


class Steps:
    """The steps of one training. All of them count; the timed ones are part of the training."""

    def __init__(self, step: Callable[[], None], on_gpu: bool, capturable: bool = True) -> None:
        """`capturable` is whether the step does everything on the device, nothing on the host."""
        self._step = self._run = step
        self._on_gpu, self._capturable = on_gpu, on_gpu and capturable
        self._count = 0
        self._started = self._eager_seconds = 0.0
        self._graph: Any = None
        self._stream: Any = None
        self._looks: deque[tuple[Any, Any]] = deque()
        # What the timing chose could be another way the next time.
        if self._capturable and not torch.are_deterministic_algorithms_enabled():
            # A graph is captured on a stream of its own, and so must be the steps that warm it up.
            self._stream = torch.cuda.Stream()
            self._run = self._timed

    def run(self) -> None:
        """Runs the next step."""
        self._run()

    @property
    def chosen(self) -> str:
        """How steps are run now."""
        return "graph" if self._graph is not None else "eager"

    def ways(self) -> dict[str, Callable[[], None]]:
        """Each way to run a step; a graph is captured for it if there is none."""
        if self._capturable and self._graph is None:
            self._capture()
        return {"eager": self._step, **({"graph": self._graph.replay} if self._graph else {})}

    def look(self, sums: Any) -> float:
        """The first of `sums` as it was some looks ago on a GPU, or now on a CPU.

        On a GPU it waits until that step is done, which bounds the queue of steps.
        """
        if not self._on_gpu:
            return float(sums[0])
        copy = torch.empty(1, dtype=sums.dtype, pin_memory=True)
        copy.copy_(sums[:1], non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._looks.append((copy, event))
        if len(self._looks) <= LOOKS:
            return 0.0
        copy, event = self._looks.popleft()
        event.synchronize()
        return float(copy[0])

    def _on_stream(self) -> None:
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            self._step()
        torch.cuda.current_stream().wait_stream(self._stream)

    def _timed(self) -> None:
        """The first steps: warm up, time eager ones, capture, time replays, choose."""
        count = self._count
        self._count += 1
        if count in (WARM_UP, WARM_UP + TIMED, WARM_UP + 2 * TIMED):
            torch.cuda.synchronize()
            now = time.perf_counter()
            seconds, self._started = now - self._started, now
            if count == WARM_UP + TIMED:
                self._eager_seconds = seconds
                self._capture()
                self._started = time.perf_counter()
            elif count == WARM_UP + 2 * TIMED:
                self._choose(seconds)
                self._run()
                return
        if self._graph is None:
            self._on_stream()
        else:
            self._graph.replay()

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.empty_cache()  # the graph has memory of its own
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                self._step()
        except RuntimeError as error:
            log.info("no CUDA graph: %s", gist(error))
            torch.cuda.synchronize()
            self._run = self._step
            return
        self._graph = graph

    def _choose(self, seconds: float) -> None:
        """Keeps the graph if its steps, which took `seconds` in all, were faster."""
        log.info(
            "%.2f ms a step one by one, %.2f ms as a CUDA graph",
            *(1000 * value / TIMED for value in (self._eager_seconds, seconds)),
        )
        if seconds < self._eager_seconds:
            self._run = self._graph.replay
        else:
            self._graph, self._run = None, self._step
