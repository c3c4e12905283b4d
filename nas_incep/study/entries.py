"""The lines of a journal: which of them are entries that Optuna can apply."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

MAX_LINE = 1 << 24  # bytes; a longer line is no entry

_Fields = dict[str, tuple[type, ...]]
_NUMBER = (int, float)
_TRIAL: _Fields = {"trial_id": (int,)}
_STUDY: _Fields = {"study_id": (int,)}
_USER: _Fields = {"user_attr": (dict,)}
_SYSTEM: _Fields = {"system_attr": (dict,)}
# By the number of the operation: the fields that Optuna reads, with their types.
_FIELDS: dict[int, _Fields] = {
    0: {"study_name": (str,), "directions": (list,)},
    1: _STUDY,
    2: {**_STUDY, **_USER},
    3: {**_STUDY, **_SYSTEM},
    4: {**_STUDY, "datetime_start": (str, type(None))},
    5: {
        **_TRIAL,
        "param_name": (str,),
        "param_value_internal": _NUMBER,
        "distribution": (str,),
    },
    6: {**_TRIAL, "state": (int,), "values": (list, type(None))},
    7: {**_TRIAL, "step": (int,), "intermediate_value": _NUMBER},
    8: {**_TRIAL, **_USER},
    9: {**_TRIAL, **_SYSTEM},
    10: {},
}
# The field that a change of a trial's state has besides, by the number of the state.
_WHEN = {0: "datetime_start", **dict.fromkeys((1, 2, 3), "datetime_complete")}


def read_entries(file: IO[bytes], end: int) -> Iterator[tuple[dict[str, Any] | None, int]]:
    """The entries of a journal from where the file stands to byte `end`, each with its own end.

    None stands for a line that is no entry. An incomplete last line is left out.
    """
    position = file.tell()
    for line, length in _lines(file, end):
        position += length
        yield _entry(line), position


def _lines(file: IO[bytes], end: int) -> Iterator[tuple[bytes, int]]:
    """The complete lines up to a byte, with their lengths; a line that is too long is empty."""
    left = end - file.tell()
    rest = b""
    skipped = 0  # bytes of a line that is too long
    while left > 0:
        block = file.read(min(left, 1 << 20))
        if not block:
            return
        left -= len(block)
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield (b"" if skipped else line), skipped + len(line) + 1
            skipped = 0
        if skipped or len(rest) > MAX_LINE:
            skipped, rest = skipped + len(rest), b""


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or type(value.get("worker_id")) is not str:
        return None
    code = value.get("op_code")
    fields = _FIELDS.get(code) if type(code) is int else None
    if fields is None or not all(
        key in value and type(value[key]) in types for key, types in fields.items()
    ):
        return None
    if any(len(value[key]) != 1 for key in ("user_attr", "system_attr") if key in fields):
        return None
    if code == 6:
        when = _WHEN.get(value["state"])
        if value["state"] not in range(5) or (when and type(value.get(when)) is not str):
            return None
    return value
