"""The state of a Gluon Trainer's optimizer as plain arrays, read and written without pickle.

MXNet's own `save_states` pickles, and `load_states` runs whatever a file says. Both reach the same
private fields as this does; MXNet 1.9.1 is the last release, so they will not move.
"""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS = "steps"


def optimizer_arrays(trainer: Any) -> dict[str, np.ndarray]:
    """All that the optimizer remembers, by name: `steps`, and for each parameter its arrays.

    `3.0` is the first array of the trainer's fourth parameter: SGD's momentum, Adam's mean.
    """
    updater = trainer._updaters[0]
    arrays = {STEPS: np.array(trainer._optimizer.num_update, np.int64)}
    for index, state in updater.states.items():
        for place, array in enumerate(_leaves(state)):
            arrays[f"{index}.{place}"] = array.asnumpy()
    return arrays


def restore_optimizer(trainer: Any, arrays: dict[str, np.ndarray], context: Any) -> None:
    """Puts a new trainer's optimizer where `optimizer_arrays` found one of the same parameters.

    Raises ValueError where the arrays are not those of such an optimizer.
    """
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    updater, optimizer = trainer._updaters[0], trainer._optimizer
    steps, left = int(arrays[STEPS]), dict(arrays)
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
        # Adam corrects its averages by how often each parameter was updated.
        optimizer._index_update_count[index] = steps
    if left:
        raise ValueError(f"{', '.join(left)}: the optimizer has no such arrays")
    optimizer.num_update = steps


def _leaves(state: Any) -> list[Any]:
    """The arrays of a state, which may be one, a tuple of them, or none."""
    if state is None:
        return []
    if isinstance(state, (tuple, list)):
        return [leaf for part in state for leaf in _leaves(part)]
    return [state]
