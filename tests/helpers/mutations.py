"""Damage to files, as an accident or a stranger may do it; equal random states do equal damage."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

HUGE = 1 << 40  # bytes of a file that takes no room on the disk

TEXTS = (
    *("", "0.5", "nan", "inf", "a\nb", "\x1b[31mred", "[bold]x[/]", "\ud800", "\x00", "\u202e"),
    *("../../outside/secret", "../outside", "/dev/zero", "table:/dev/zero", "=1+1", "x" * 5000),
)
NUMBERS = (
    *(0, 1, -1, 2, 7, 255, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**25, 10**400),
    *(int("9" * 4000), 0.5, -0.0, 1e308, -1e308, 5e-324, 1e30),
)
# JSON that Python's own writer does not write.
RAW = (
    *("1e999", "-1e999", "NaN", "Infinity", "9" * 5000, "[" * 5000, "[" * 100 + "]" * 100),
    *('{"a": 1, "a": 2}', '{"a":' * 3000, "-", "\x00", '"\\ud800"', '"\n"', "[],[]", "'a'"),
)
TOML = (
    *("-1", "0", "1e999", "nan", "inf", "-inf", "9" * 30, "9" * 5000, "0x" + "F" * 5000, "[1, 1]"),
    *("[]", "[[]]", "{}", "{low = 1, high = 8192}", "{low = 1, high = 8192, step = 0}", '"a"'),
    *("{low = 8192, high = 1}", '"\\u001b[31m"', "2020-01-01", "true", "[" * 5000, "[1, 2.5]"),
    *("{a = " * 2000, "0x" + "7" * 16, "1e308", "1", "8192", "[8, 4096]", "5e-324"),
    str([*range(1, 8193)]),
)
TOML_LINES = (
    *("a." * 60_000 + "a = 1", "[" + "a." * 60_000 + "a]", "[[reference]]\n" * 5000, "[block.7]"),
    *("blocks = [1, 2, 3, 4, 5, 6, 7, 8]", '"\\u0000" = 1', "[limits]\nmax_params = 1", "\x00"),
    *('description = "\\u001b[31m"', "[variants]\nsame_shape = [true, false]", "a = [[[[[[[["),
    *("x" * 300_000, "[block.0]\nnum_convs = 64", "a = '''", "[limits]\nmax_latency_ms = nan"),
)


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes with one or a few accidents."""
    new, size = bytearray(data), len(data)
    at, end = sorted((rng.randrange(size + 1), rng.randrange(size + 1)))
    kind = rng.randrange(9)
    if kind <= 2 and size:
        for _ in range(rng.choice((1, 1, 2, 20))):
            new[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif kind == 3:
        del new[at:]
    elif kind == 4:
        del new[at : min(end, at + 100)]
    elif kind == 5:
        new[at:at] = rng.choice((bytes(rng.randrange(5000)), rng.randbytes(50), new[at:end]))
    elif kind == 6:
        new += new[at:end] if rng.random() < 0.5 else rng.randbytes(rng.randrange(1, 300))
    elif kind == 7:
        width = rng.choice((1, 4, 8))
        value = rng.choice((0, 1, 2**31, 2**40, 2**62, 2**63, 2**64 - 1))
        new[at : at + width] = (value % 256**width).to_bytes(width, rng.choice(("little", "big")))
    else:
        new = bytearray(rng.choice((b"", b"\x00" * 1000, rng.randbytes(500), new[end:] + new[:at])))
    return bytes(new)


def _big(rng: random.Random) -> Any:
    """JSON values whose size is their harm."""
    return rng.choice(
        (
            lambda: [0] * 300_000,
            lambda: [[]] * 300_000,
            lambda: {str(k): k for k in range(60_000)},
            lambda: "x" * 2_000_000,
            lambda: {"k" * 1000: "v" * 1000},
            lambda: [{"a": {}}] * 20_000,
        )
    )()


def _value(rng: random.Random) -> Any:
    if rng.random() < 0.04:
        return _big(rng)
    others = (None, True, False, [], {}, [[]], [1], [None], {"a": 1}, [0.5] * 3, [1, 8, 8])
    return rng.choice(rng.choice((TEXTS, NUMBERS, others)))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a JSON value with each of its keys or positions."""
    found, left = [], [value]
    while left:
        one = left.pop()
        keys: Any = one if isinstance(one, dict) else range(len(one))
        found += [(one, key) for key in keys]
        left += [one[key] for key in keys if isinstance(one[key], (dict, list))]
    return found


def damage_json(text: str, rng: random.Random) -> str:
    """A JSON text with one or a few values of another kind, or none."""
    value = json.loads(text)
    raw = ""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = _places(value)
        if not places:
            break
        container, key = rng.choice(places)
        kind = rng.randrange(14)
        if kind <= 6:
            container[key] = _value(rng)
        elif kind == 7:
            other, its = rng.choice(places)
            container[key] = json.loads(json.dumps(other[its]))
        elif kind == 8:
            del container[key]
        elif kind == 9:
            items = rng.choice((container, value))
            if isinstance(items, dict):
                items[rng.choice((*TEXTS, "version", "extra", "__class__"))] = _value(rng)
            else:
                items.append(_value(rng))
        elif kind == 10 and isinstance(container[key], (int, float)):
            change: Callable[[Any], Any] = rng.choice(
                (lambda n: -n, lambda n: n + 1, lambda n: n * 10**6, str, float, bool)
            )
            with contextlib.suppress(OverflowError):
                container[key] = change(container[key])
        elif kind == 11:
            value = [value] if rng.random() < 0.3 else value
            container[key] = [container[key]] * rng.choice((1, 2, 1000))
        elif kind == 12:
            container[key], raw = "@raw@", rng.choice(RAW)
        elif kind == 13:
            value = _value(rng)
            break
    return json.dumps(value).replace('"@raw@"', raw)


def damage_toml(text: str, rng: random.Random) -> str:
    """A TOML text with other values, or with lines lost, repeated or added."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        values = list(re.finditer(r"\[[\d, ]+\]|\b\d+\b|\b(?:true|false)\b|\"[^\"]*\"", text))
        lines = text.split("\n")
        at, kind = rng.randrange(len(lines)), rng.randrange(6)
        if kind <= 2 and values:
            found = rng.choice(values)
            text = text[: found.start()] + rng.choice(TOML) + text[found.end() :]
            continue
        if kind == 3:
            del lines[at]
        elif kind == 4:
            lines.insert(at, rng.choice(lines))
        else:
            lines.insert(at, rng.choice(TOML_LINES))
        text = "\n".join(lines)
    return text


def replace_file(path: Path, outside: Path, rng: random.Random) -> str:
    """Puts something else in the place of a file or folder; returns what."""
    what = rng.choice(
        ("nothing", "folder", "fifo", "link", "device", "dangling", "loop", "empty", "huge")
    )
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
    if what == "folder":
        (path / "inside").mkdir(parents=True)
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "link":
        path.symlink_to(outside / rng.choice(sorted(os.listdir(outside))))
    elif what in ("device", "dangling", "loop"):
        path.symlink_to({"device": "/dev/zero", "dangling": outside / "new", "loop": path}[what])
    elif what in ("empty", "huge"):
        with open(path, "wb") as file:
            file.truncate(HUGE if what == "huge" else 0)
    return what


def damage_file(path: Path, outside: Path, rng: random.Random) -> str:
    """Damages one file in the way of its kind; returns what was done."""
    if rng.random() < 0.12 or not path.is_file():
        return replace_file(path, outside, rng)
    data = path.read_bytes()
    if path.suffix in (".json", ".toml") and rng.random() < 0.8:
        damage = damage_json if path.suffix == ".json" else damage_toml
        path.write_bytes(damage(data.decode(), rng).encode("utf-8", "surrogatepass"))
        return "other values"
    if path.suffix == ".gz" and rng.random() < 0.7:
        if rng.random() < 0.1:
            path.write_bytes(gzip.compress(bytes(1 << 24), 6) * 60)
            return "a bomb"
        inside = gzip.decompress(data)
        start = rng.choice((0, len(inside)))  # at its beginning are the headers
        damaged = damage_bytes(inside[: start or 600], rng) + inside[start or 600 :]
        path.write_bytes(gzip.compress(damaged, 1))
        return "other contents"
    path.write_bytes(damage_bytes(data, rng))
    return "other bytes"
