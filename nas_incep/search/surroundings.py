"""Notices for a run that is resumed on another device, with other threads or versions."""

from __future__ import annotations

from typing import Any

from .._machine import versions
from ..records import TrialRecord
from ..results.config import RunConfig


def other_versions(config: RunConfig) -> list[str]:
    """A notice if a run is resumed with other software versions."""
    if config.versions == versions():
        return []
    return [
        "this run was started with other versions: figures may differ slightly "
        "from those of an uninterrupted run; every record names its own"
    ]


def other_environment(records: list[TrialRecord], environment: dict[str, Any]) -> list[str]:
    """A notice if `environment` differs from that of earlier records of the run."""
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
        "slightly from those of an uninterrupted run; every record names its own"
    ]


def _kind(value: Any) -> Any:
    """A device without its number: equal GPUs give equal figures."""
    return value.partition(":")[0] if isinstance(value, str) else value
