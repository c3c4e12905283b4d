"""One trial: a network built, trained, saved; whatever happens ends as an outcome."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..data import Dataset
from ..errors import InputError
from ..files import atomic_file
from ..recipe import Recipe
from ..records import COMPLETE, DIVERGED, FAILED, OUT_OF_MEMORY, EpochResult, Outcome
from .networks import count_macs, count_parameters
from .runtime import is_out_of_memory, mx, release_memory
from .training import Diverged, Training


def run_trial(
    build: Callable[[], Any],
    dataset: Dataset,
    recipe: Recipe,
    seed: int,
    device: Any,
    parameters_path: Path,
    on_epoch: Callable[[EpochResult], None],
    on_images: Callable[[int], None],
) -> Outcome:
    """Trains the network that `build` gives and saves its parameters if it comes to the end.

    A fault of the network (divergence, memory, an operator's error) is an outcome. A fault of the
    machine (OSError: a full disk, say) or of the input is raised: it would hit every trial.
    """
    curve: list[EpochResult] = []
    counts: tuple[int | None, int | None] = (None, None)
    network = training = None

    def ended(state: str, reason: str = "") -> Outcome:
        return Outcome(state, reason, tuple(curve), *counts)

    try:
        network = build()
        training = Training(network, dataset, recipe, seed, device)
        counts = count_parameters(network), count_macs(network, dataset.info.image_shape)
        for _ in range(recipe.epochs):
            curve.append(training.run_epoch(on_images))
            on_epoch(curve[-1])
        _save_parameters(network, parameters_path)
        return ended(COMPLETE)
    except Diverged as error:
        return ended(DIVERGED, str(error))
    except (OSError, InputError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            return ended(OUT_OF_MEMORY, "the device's memory is full")
        return ended(FAILED, f"{type(error).__name__}: {_last_line(error)}")
    finally:
        # What went wrong holds the network through its traceback until here.
        del network, training
        release_memory(device)


def _save_parameters(network: Any, path: Path) -> None:
    """Raises OSError where the disk does not take the file, which MXNet may not notice itself."""
    least = sum(4 * p.data().size for p in network.collect_params().values())
    with atomic_file(path) as temporary:
        try:
            network.save_parameters(str(temporary))
            whole = temporary.stat().st_size >= least
        except mx.base.MXNetError:
            whole = False
        if not whole:
            raise OSError(errno.ENOSPC, "cannot be written whole; is the disk full?", str(path))


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
