"""What a simulated search is over: the recorded trainings of a run, a table or NAS-Bench-Macro."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from .._files import read_packed_json
from .._formats import Natural, read
from ..architecture import Architecture, Block
from ..engines.table.table import FORMAT, Network, Table, table_of
from ..errors import InputError
from ..records import COMPLETE, EpochResult, TrialRecord
from ..results.run import Run
from ..spaces.space import VARIANTS
from .places import Places, Point


@dataclass(frozen=True)
class Recorded:
    """Networks that were all trained for the same number of epochs, at least two of them."""

    table: Table
    places: Places | None  # of the networks; None: the table does not tell
    has_curves: bool  # False: the final accuracies alone
    left_out: int = 0  # networks with shorter curves

    def __post_init__(self) -> None:
        if len(self.table.networks) < 2:
            raise InputError(
                f"{self.table.source}: two networks trained to the end are expected, it has "
                f"{len(self.table.networks)}"
            )

    @property
    def epochs(self) -> int:
        return len(next(iter(self.table.networks.values())).curves[0])

    @property
    def seeds(self) -> tuple[int, int]:
        """The smallest and the largest number of seeds of a network."""
        counts = [len(network.curves) for network in self.table.networks.values()]
        return min(counts), max(counts)

    @functools.cached_property
    def accuracies(self) -> dict[str, float]:
        """The true accuracy of each network: the mean over all its recorded seeds."""
        return {
            name: sum(curve[-1].val_accuracy for curve in network.curves) / len(network.curves)
            for name, network in self.table.networks.items()
        }


def read_recorded(*paths: Path) -> Recorded:
    """Reads run folders, the file of a table or NAS-Bench-Macro's JSON; files may be .xz.

    Raises InputError if a path is none of them, or invalid.
    """
    if all(path.is_dir() for path in paths):
        return _of_table(table_of_runs([Run(path) for path in paths]))
    path, *others = paths
    if others:
        raise InputError(
            f"{', '.join(map(str, paths))}: several run folders or one file are expected"
        )
    value = read_packed_json(path)
    if isinstance(value, dict) and value.get("format") == FORMAT:
        return _of_table(table_of(value, str(path)))
    if isinstance(value, dict) and value and all(map(_MACRO_NAME.fullmatch, value)):
        return _of_macro(value, str(path))
    raise InputError(
        f"{path}: a run folder, a table (format {FORMAT!r}) or NAS-Bench-Macro's file is expected"
    )


def table_of_runs(runs: Sequence[Run], baselines: bool = False) -> Table:
    """The complete networks of runs with one recipe on the same data, as a table.

    Finals, confirmations and further runs give further seeds. `baselines` are in it if asked for.
    Raises InputError if the runs have different recipes or data.
    """
    first = runs[0].config()
    recipe, fingerprint = first.request.recipe, first.data.fingerprint
    networks: dict[str, dict[int, TrialRecord]] = {}
    for run in runs:
        config = run.config()
        if (config.request.recipe, config.data.fingerprint) != (recipe, fingerprint):
            raise InputError(
                f"{run.path}: its recipe or its data are not those of {runs[0].path}, so the "
                "accuracies of both cannot be compared"
            )
        for record in (*run.records(), *run.reruns()):
            is_complete = record.outcome.state == COMPLETE and record.epochs == recipe.epochs
            if is_complete and (baselines or not record.subject.is_baseline):
                # The same seed in two runs is one training.
                networks.setdefault(record.subject.name, {})[record.subject.seed] = record
    source = ", ".join(str(run.path) for run in runs)
    return Table(source, {n: _network(list(s.values())) for n, s in networks.items()})


def _network(records: Sequence[TrialRecord]) -> Network:
    """A network by the records of its trainings."""
    outcome = records[0].outcome
    answers = tuple(record.outcome.right for record in records if record.outcome.right)
    return Network(
        parameters=outcome.parameters or 0,
        macs=outcome.macs or 0,
        curves=tuple(record.outcome.curve for record in records),
        architecture=records[0].subject.architecture,
        answers=answers if len(answers) == len(records) else None,
    )


def _of_table(table: Table) -> Recorded:
    """The networks of a table with the most epochs; a shorter training is another one."""
    # The others are baselines, which no search draws.
    networks = {name: n for name, n in table.networks.items() if _IDENTITY.fullmatch(name)}
    longest = max((len(curve) for n in networks.values() for curve in n.curves), default=0)
    whole = {
        name: network
        for name, network in networks.items()
        if longest and all(len(curve) == longest for curve in network.curves)
    }
    known = [network.architecture for network in whole.values()]
    points = [_point(architecture) for architecture in known if architecture]
    return Recorded(
        Table(table.source, whole, table.epoch_seconds),
        Places(points, ordered=True) if len(points) == len(whole) else None,
        has_curves=True,
        left_out=len(networks) - len(whole),
    )


def _point(architecture: Architecture) -> Point:
    """The parameters by the names that a search space gives them."""
    blocks = {
        f"b{b}.{key}": value
        for b, block in enumerate(architecture.blocks)
        for key, value in zip(Block._fields, block)
    }
    variants = {key: getattr(architecture, key) for key in VARIANTS}
    return {"blocks": len(architecture.blocks), **blocks, **variants}


_IDENTITY = re.compile("[0-9a-f]{12}")

# NAS-Bench-Macro (Su et al., arXiv:2103.11922) names a network by the choice in each of 8 layers.
_MACRO_NAME = re.compile("[0-2]{8}")
_Percent = Annotated[float, Meta(ge=0, le=100)]


@dataclass(frozen=True)
class _Macro:
    """An entry of NAS-Bench-Macro."""

    test_acc: Annotated[tuple[_Percent, ...], Meta(min_length=1)]  # of each seed
    mean_acc: float
    std: float
    params: Natural
    flops: Natural


def _of_macro(value: Mapping[str, Any], source: str) -> Recorded:
    entries = read(value, dict[str, _Macro], source)
    networks = {
        name: Network(
            entry.params, entry.flops, tuple(_final(percent / 100) for percent in entry.test_acc)
        )
        for name, entry in entries.items()
    }
    points = [{f"layer{k}": int(choice) for k, choice in enumerate(name)} for name in networks]
    places = Places(points, ordered=False)
    return Recorded(Table(source, networks), places, has_curves=False)


def _final(accuracy: float) -> tuple[EpochResult, ...]:
    """A training of which the last accuracy alone is known; nothing reads the other fields."""
    return (EpochResult(1, 0.0, 0.0, 0.0, accuracy, 1, 0.0, 0.0),)
