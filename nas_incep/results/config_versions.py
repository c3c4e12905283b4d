"""Older forms of run.json, converted to the present one."""

from __future__ import annotations

from typing import Any

from .._machine import FLOAT32
from ..errors import InputError
from ..records import FIRST_ENGINE


def from_version_3(old: dict[str, Any], source: str) -> dict[str, Any]:
    """Converts the fields of version 3, which held several values twice, to version 4.

    If `request` is missing because the search was killed while it started, it is rebuilt from the
    other fields. The number of trials is then unknown, but no worker can have joined.
    """
    try:
        search = old["search"]
        request = old.get("request") or {
            "space": {**old["space"], "limits": search["space"]["limits"]},
            "trials": 0,
            "objective": search.get("objective", "accuracy"),
            **{
                key: search[key]
                for key in ("recipe", "dataset", "validation_size", "sampler", "pruning", "seed")
            },
            "precision": search.get("precision", FLOAT32),
        }
        return {
            "engine": old.get("engine", FIRST_ENGINE),
            "request": request,
            "data": {
                **old["data"],
                "fingerprint": search["data_fingerprint"],
                "validation_size": search["validation_size"],
            },
            "study": old["study"],
            **{key: old[key] for key in ("precision", "called") if key in old},
            "created": old["created"],
            "versions": old["environment"]["versions"],
        }
    except KeyError as error:
        raise InputError(f"{source}: {error.args[0]} is missing") from None
    except (TypeError, AttributeError):
        raise InputError(f"{source}: not the configuration of a run (version 3)") from None
