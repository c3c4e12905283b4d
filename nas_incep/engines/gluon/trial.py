"""One trial: a network built, trained, saved; whatever happens ends as an outcome."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...datasets import Dataset
from ...errors import InputError, LeaveTrial, StopTrial
from ...recipe import Recipe
from ...records import COMPLETE, DIVERGED, FAILED, OUT_OF_MEMORY, EpochResult, Outcome
from .checkpoint import (
    CURVE,
    drop_checkpoint,
    restore_checkpoint,
    save_checkpoint,
    save_parameters,
)
from .networks import count_macs, count_parameters
from .runtime import is_out_of_memory, release_memory
from .training import Diverged, Training


def run_trial(
    build: Callable[[], Any],
    dataset: Dataset,
    recipe: Recipe,
    seed: int,
    device: Any,
    precision: str,
    parameters_path: Path,
    checkpoint: Path,
    on_built: Callable[[Any], None],
    on_epoch: Callable[[EpochResult], None],
    on_images: Callable[[int], None],
) -> Outcome:
    """Trains the network that `build` gives and saves its parameters if it comes to the end.

    Goes on after the last epoch of `checkpoint`, if there is one; the caller drops that folder when
    it has kept the outcome. `on_built` is given the initialised network, before it is trained. The
    callbacks may raise StopTrial to end the training.

    A fault of the network (divergence, memory, an operator's error) is an outcome. A fault of the
    machine (OSError: a full disk, say) or of the input is raised: it would hit every trial.
    """
    curve: list[EpochResult] = []
    counts: tuple[int | None, int | None] = (None, None)
    training = None

    def ended(state: str, reason: str = "") -> Outcome:
        return Outcome(state, reason, tuple(curve), *counts)

    try:
        training = Training(build(), dataset, recipe, seed, device, precision)
        if (checkpoint / CURVE).exists():
            training, restored = _restored(training, build, checkpoint)
            curve += restored
        shape = dataset.info.image_shape
        counts = count_parameters(training.network), count_macs(training.network, shape)
        on_built(training.network)
        for point in curve[-1:]:  # a restored one, which may not have been heard of
            on_epoch(point)
        while training.epoch < recipe.epochs:
            curve.append(training.run_epoch(on_images))
            if training.epoch < recipe.epochs:
                save_checkpoint(training, checkpoint, curve)
            on_epoch(curve[-1])
        save_parameters(training.network, parameters_path)
        return ended(COMPLETE)
    except Diverged as error:
        return ended(DIVERGED, str(error))
    except StopTrial as stop:
        return ended(stop.state, stop.reason)
    except (OSError, InputError, LeaveTrial):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            return ended(OUT_OF_MEMORY, "the device's memory is full")
        return ended(FAILED, f"{type(error).__name__}: {_last_line(error)}")
    finally:
        del training
        release_memory(device)


def _restored(
    training: Training, build: Callable[[], Any], checkpoint: Path
) -> tuple[Training, list[EpochResult]]:
    """The training where the checkpoint was written, or a new one if that is damaged."""
    try:
        return training, restore_checkpoint(training, checkpoint)
    except Exception:
        # Nothing finished is in a checkpoint, so the trial can begin anew.
        drop_checkpoint(checkpoint)
        fresh = Training(
            build(),
            training.dataset,
            training.recipe,
            training.seed,
            training.device,
            training.precision,
        )
        return fresh, []


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
