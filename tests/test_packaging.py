"""What an installation contains, and what the extras ask for, as setup.cfg says it."""

from __future__ import annotations

import configparser
import fnmatch
from pathlib import Path

import pytest

import nas_incep

PACKAGE = Path(nas_incep.__file__).parent
CHECKOUT = PACKAGE.parent
ENGINES = {"cpu", "cu112", "torch", "gluon"}


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    assert config.read(CHECKOUT / "setup.cfg", encoding="utf-8")
    return config


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def test_every_folder_of_the_package_is_installed(setup: configparser.ConfigParser) -> None:
    found = {path.parent.relative_to(CHECKOUT) for path in PACKAGE.rglob("*.py")}
    packages = {".".join(folder.parts) for folder in found}
    # The spaces are in a folder of their own at the top.
    assert set(lines(setup["options"]["packages"])) == packages | {"nas_incep.search_spaces"}


def test_every_file_beside_the_code_is_installed(setup: configparser.ConfigParser) -> None:
    patterns = [
        f"{package.replace('.', '/')}/{pattern}"
        for package, listed in setup["options.package_data"].items()
        for pattern in listed.split()
    ]
    files = [
        path.relative_to(CHECKOUT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert len(files) > 4
    assert [f for f in files if not any(fnmatch.fnmatch(f, p) for p in patterns)] == []
    assert all(path.suffix == ".toml" for path in (CHECKOUT / "search_spaces").iterdir())
    assert "nas_incep/search_spaces/*.toml" in patterns


def test_the_test_extra_has_what_every_other_extra_but_the_engines_has(
    setup: configparser.ConfigParser,
) -> None:
    extras = {name: set(lines(text)) for name, text in setup["options.extras_require"].items()}
    tested = extras.pop("test")
    for name, wanted in extras.items():
        if f"nas-incep[{name}]" in tested:
            tested |= wanted
    assert "pandas" in extras
    assert {name for name in set(extras) - ENGINES if not extras[name] <= tested} == set()


def test_docs_name_every_extra(setup: configparser.ConfigParser) -> None:
    text = (CHECKOUT / "docs" / "install.md").read_text(encoding="utf-8")
    extras = set(setup["options.extras_require"]) - {"gluon"}  # a part of cpu and cu112
    assert {name for name in extras if f"`{name}`" not in text} == set()
