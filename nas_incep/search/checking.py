"""Checks that what a search's options name can be used."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Optional

from .._processes import last_sentence, own_command, signal_name
from ..datasets import DatasetInfo
from ..engines import is_table, load_engine
from ..engines.specs import split_folder
from ..errors import InputError, WorkerFault
from ..recipe import own_settings, settings_text
from .supervisor import FAULTS


@dataclass
class Available:
    """What a check has found."""

    gpus: int = 0  # that work
    # For each baseline the first of them that is the same network.
    baselines: dict[str, str] = field(default_factory=dict)
    # What the learning rate of each is multiplied by; None of one that is not trained.
    scales: dict[str, Optional[float]] = field(default_factory=dict)

    def rename(self, names: Mapping[str, str]) -> None:
        """Gives the baselines other names."""
        self.baselines = {names[key]: names[value] for key, value in self.baselines.items()}
        self.scales = {names[key]: value for key, value in self.scales.items()}

    def take(self, values: Mapping[str, Any]) -> None:
        """Sets fields by their names."""
        for name, value in values.items():
            setattr(self, name, value)


def check(
    engine: str,
    devices: Sequence[str],
    baselines: Sequence[str],
    classes: int,
    image_shape: tuple[int, int, int],
    precision: str,
) -> Available:
    """Checks, in this process, that devices, precision and baselines can be used.

    `image_shape` is `(channels, height, width)`. Raises InputError if one cannot.
    """
    loaded = load_engine(engine)
    found = Available()
    first: dict[tuple[str, str], str] = {}
    for spec in baselines:
        facts = loaded.check_baseline(spec, classes, image_shape)
        found.scales[spec] = facts.scale
        settings = settings_text(own_settings(split_folder(spec)[1]))
        found.baselines[spec] = first.setdefault((facts.signature, settings), spec)
    for device in devices:
        loaded.check_precision(precision, loaded.resolve(device))
    found.gpus = loaded.count_gpus()
    return found


@contextmanager
def checked(
    engine: str, devices: Sequence[str], baselines: Sequence[str], info: DatasetInfo, precision: str
) -> Iterator[Available]:
    """Checks in another process, while the block runs, that what the options name can be used.

    A separate process spares this one the memory of the framework and of a GPU; a table has
    neither. The yielded object is filled in after the block. Raises InputError if a check fails.
    """
    found = Available()
    classes, shape = len(info.classes), info.image_shape
    if is_table(engine):
        yield found
        found.take(vars(check(engine, devices, baselines, classes, shape, precision)))
        return
    command = own_command(
        "check",
        f"--engine={engine}",
        *(f"--device={device}" for device in devices),
        *(f"--baseline={baseline}" for baseline in baselines),
        f"--classes={classes}",
        f"--image-shape={','.join(map(str, shape))}",
        f"--precision={precision}",
    )
    with subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield found
        except BaseException:
            process.kill()
            raise
        said, complaints = process.communicate()
    status = process.returncode
    if status < 0:
        raise WorkerFault(f"the engine was loaded, and ended by {signal_name(status)}")
    if status:
        words = last_sentence(complaints) or "the engine cannot be loaded"
        raise FAULTS.get(status, WorkerFault)(words)
    found.take(json.loads(said.strip().rpartition("\n")[2]))


def check_names(baselines: tuple[str, ...]) -> None:
    """Raises InputError if two networks of different folders would have one record."""
    first: dict[str, str] = {}
    for spec in baselines:
        name = split_folder(spec)[1]
        if first.setdefault(name, spec) != spec:
            raise InputError(
                f"baselines {first[name]} and {spec} are different networks of one name: convert "
                "one of them with --name"
            )


def named_twice(baselines: Mapping[str, str]) -> list[str]:
    """Notices about baselines by names that were checked to be the same network's."""
    return [
        f"baseline {spec} is the same network as {first}: it is trained once"
        for spec, first in baselines.items()
        if spec != first
    ]
