"""How large are the packages that each extra brings along?

    python benchmarks/sizes.py [--short] [--extras NAME,NAME]...

Nothing is installed or downloaded. What `setup.cfg` asks for is followed through the metadata of
the packages that are installed here, and the sizes of their files are added up: a set of extras is
measured in the versions of this environment, and needs them to be there. GluonCV asks for packages
that no network of its zoo imports; `without_unused` is the set without these, unless an extra asks
for them, too.
"""

from __future__ import annotations

import argparse
import configparser
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from harness import options, write
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import nas_incep

OWN = "nas-incep"
SETS = ("", "cpu", "torch", "cpu,onnx", "cpu,pandas,dashboard", "cpu,grpc,mysql,postgresql")
# docs/install.md says how to leave them out.
UNUSED = frozenset({"opencv-python", "pandas", "yacs", "autocfg"})
SHOWN = 10  # packages by name; the others are in the sum
MEGABYTE = 1e6


def own_requirements() -> dict[str, list[Requirement]]:
    """Those in setup.cfg by extra; those of every installation under the empty name."""
    config = configparser.ConfigParser()
    config.read(Path(__file__).parent.parent / "setup.cfg", encoding="utf-8")
    texts = dict(config["options.extras_require"], **{"": config["options"]["install_requires"]})
    return {
        extra: [Requirement(line) for line in text.splitlines() if line]
        for extra, text in texts.items()
    }


def requirements(name: str, extra: str) -> Iterator[Requirement]:
    """Those of a package, with an extra, on this Python. Raises PackageNotFoundError."""
    if name == OWN:
        found: Iterable[Requirement] = own_requirements()[extra]
    else:
        found = map(Requirement, distribution(name).requires or [])
    for requirement in found:
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": extra}):
            yield requirement


def needed(extras: Iterable[str], without: frozenset[str] = frozenset()) -> set[str]:
    """The packages of an installation with these extras, installed here or not; not our own."""
    todo = [(OWN, extra) for extra in ("", *extras)]
    seen = set(todo)
    for name, extra in todo:  # which grows
        try:
            asked = list(requirements(name, extra))
        except PackageNotFoundError:
            continue
        for requirement in asked:
            other = canonicalize_name(requirement.name)
            for its_extra in ("", *requirement.extras):
                if (other, its_extra) not in seen and other not in without:
                    seen.add((other, its_extra))
                    todo.append((other, its_extra))
    return {name for name, _ in seen} - {OWN}


def installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def size(found: Distribution) -> int:
    """Bytes of a package's files, compiled ones among them."""
    paths = [Path(str(found.locate_file(file))) for file in found.files or []]
    return sum(path.stat().st_size for path in paths if path.is_file())


def own_size() -> int:
    """Likewise of this package, which may be a checkout and has compiled files or not."""
    files = Path(nas_incep.__file__).parent.rglob("*")
    return sum(path.stat().st_size for path in files if path.is_file() and path.suffix != ".pyc")


def measure(extras: str) -> dict[str, Any]:
    """A row: what an installation with these extras, joined by commas, has and weighs."""
    names = [name for name in extras.split(",") if name]
    packages = {name: installed(name) for name in sorted(needed(names))}
    row: dict[str, Any] = {"extras": extras, "packages": len(packages)}
    if missing := [name for name, found in packages.items() if found is None]:
        return {**row, "not_installed": missing}  # a sum without them would mislead
    sizes = {name: size(found) for name, found in packages.items() if found}
    asked = {item.name for extra in ("", *names) for item in requirements(OWN, extra)}
    lighter = needed(names, UNUSED - asked)
    largest = sorted(sizes, key=lambda name: -sizes[name])[:SHOWN]
    return {
        **row,
        "megabytes": megabytes(own_size() + sum(sizes.values())),
        "without_unused": megabytes(own_size() + sum(sizes[name] for name in lighter)),
        "largest": {name: megabytes(sizes[name]) for name in largest},
    }


def megabytes(count: int) -> float:
    return round(count / MEGABYTE, 1)


def arguments() -> argparse.Namespace:
    parser = options(__doc__, rounds=False)
    parser.add_argument("--extras", action="append", help="repeatable; joined by ','")
    args = parser.parse_args()
    known = own_requirements()
    for name in ",".join(args.extras or []).split(","):
        if name not in known:
            parser.error(f"--extras {name}: one of {', '.join(filter(None, known))} is expected")
    return args


def main() -> None:
    args = arguments()
    write("sizes", [measure(extras) for extras in args.extras or SETS], args.threads, args.short)


if __name__ == "__main__":
    main()
