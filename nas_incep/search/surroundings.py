"""What the user should know where a run is resumed in other surroundings than it was begun in."""

from __future__ import annotations

from typing import Any

from ..records import TrialRecord
from ..results.config import RunConfig
from ..results.run import versions


def other_versions(config: RunConfig) -> list[str]:
    """What the user should know where a run is gone on with under other versions."""
    if config.versions == versions():
        return []
    return [
        "this run was begun with other versions: figures may differ slightly "
        "from those of one go; every record names its own"
    ]


def other_environment(records: list[TrialRecord], environment: dict[str, Any]) -> list[str]:
    """What the user should know where a run is gone on with in other surroundings."""
    changed = sorted(
        {
            key
            for record in records
            for key in environment.keys() & record.environment.keys()
            if _kind(record.environment[key]) != _kind(environment[key])
        }
    )
    if not changed:
        return []
    return [
        f"this run has records made with other {' and '.join(changed)}: figures may differ "
        "slightly from those of one go; every record names its own"
    ]


def _kind(value: Any) -> Any:
    """A device without its number: equal GPUs give equal figures."""
    return value.partition(":")[0] if isinstance(value, str) else value
