"""The state of a Gluon Trainer's optimizer as plain arrays, read and written without pickle.

MXNet's `save_states` writes a pickle, and `load_states` executes whatever the file contains. Both
use the same private fields as this module; MXNet 1.9.1 is the last release, so they are stable.
"""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS = "steps"


def optimizer_arrays(trainer: Any) -> dict[str, np.ndarray]:
    """The state of the optimizer by name: `steps`, and the arrays of each parameter.

    `3.0` is the first array of the trainer's fourth parameter: SGD's momentum, Adam's mean.
    """
    updater = trainer._updaters[0]
    arrays = {STEPS: np.array([trainer._optimizer.num_update], np.int64)}
    for index, state in updater.states.items():
        for place, array in enumerate(_leaves(state)):
            arrays[f"{index}.{place}"] = array.asnumpy()
    return arrays


def restore_optimizer(trainer: Any, arrays: dict[str, np.ndarray], context: Any) -> None:
    """Restores the state that `optimizer_arrays` returned to the optimizer of a new trainer.

    `context` is the MXNet device of the parameters. Raises KeyError or ValueError if the arrays do
    not belong to an optimizer of the same kind for the same parameters.
    """
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    updater, optimizer = trainer._updaters[0], trainer._optimizer
    steps, left = arrays[STEPS].item(), dict(arrays)
    del left[STEPS]
    optimizer._set_current_context(context.device_id)
    for index, parameter in enumerate(trainer._params):
        if parameter.grad_req == "null":
            continue
        state = optimizer.create_state_multi_precision(index, parameter.data(context))
        for place, array in enumerate(_leaves(state)):
            values = left.pop(f"{index}.{place}")
            if (values.shape, values.dtype) != (array.shape, array.dtype):
                raise ValueError(f"{index}.{place}: {values.dtype}{values.shape} does not fit")
            array[:] = values
        updater.states[index], updater.states_synced[index] = state, True
        # Adam's bias correction depends on the number of updates of each parameter.
        optimizer._index_update_count[index] = steps
    if left:
        raise ValueError(f"{', '.join(left)}: the optimizer has no such arrays")
    optimizer.num_update = steps


def _leaves(state: Any) -> list[Any]:
    """The arrays in a state, which is an array, a nested tuple of arrays, or None."""
    if state is None:
        return []
    if isinstance(state, (tuple, list)):
        return [leaf for part in state for leaf in _leaves(part)]
    return [state]
