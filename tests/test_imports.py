"""Which module may import which: the core knows no framework, and imports go one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nas_incep

PACKAGE = Path(nas_incep.__file__).parent
FRAMEWORKS = {"mxnet", "gluoncv"}

# Each module imports earlier ones alone when it is itself imported. Inside a function a module may
# import what it likes: that is how the core calls for a framework.
ORDER = """
errors
machine
files
architecture
.
space
space_file
catalogue
data_files
data
download
recipe
records
objective
batches
presence
run
locks
journal
database
heartbeat
storage
leaderboard
bundle
display
events
tuning
gluon.runtime
gluon.layers
gluon.networks
gluon.latency
gluon.baselines
gluon.packed
gluon.forms
gluon.resident
gluon.training
gluon.speed
gluon.checkpoint
gluon.trial
gluon.initialisation
gluon.zoo
gluon.evaluation
gluon
evolution
sampling
pruning
request
study
recovery
taking
worker
supervise
automatic
search
commands.options
commands.search
commands.internal
commands.bundles
commands.look
commands
cli
__main__
"""
NAMES = ["nas_incep" if name == "." else f"nas_incep.{name}" for name in ORDER.split()]

# These must work, and at once, where MXNet is missing or broken.
CORE = [name for name in NAMES if ".gluon" not in name and not name.endswith("__main__")]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(name: str, everywhere: bool) -> Iterator[str]:
    """The full names that a module's import statements name; `everywhere`: in functions, too."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in nodes(ast.parse(path.read_text(encoding="utf-8")), everywhere):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join([*(start if node.level else []), *filter(None, [node.module])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in MODULES else base


def nodes(node: ast.AST, everywhere: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not everywhere:
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                continue
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
        yield child
        yield from nodes(child, everywhere)


def test_every_module_has_its_place() -> None:
    assert sorted(MODULES) == sorted(NAMES), "give a new module its place in ORDER"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_earlier_ones_alone(name: str) -> None:
    found = [other for other in imports(name, everywhere=False) if other in MODULES]
    later = [other for other in found if NAMES.index(other) >= NAMES.index(name)]
    assert later == []


@pytest.mark.parametrize("name", MODULES)
def test_only_the_gluon_rooms_name_a_framework(name: str) -> None:
    found = {whole.partition(".")[0] for whole in imports(name, everywhere=True)} & FRAMEWORKS
    assert not found or name.startswith("nas_incep.gluon.")


def test_the_rules_can_see_imports() -> None:
    # Each way of writing an import that the package has, found in the right module.
    assert "mxnet" in imports("nas_incep.gluon.runtime", everywhere=True)
    assert "mxnet" not in imports("nas_incep.gluon.runtime", everywhere=False)
    assert "nas_incep.gluon.runtime" in imports("nas_incep.gluon.networks", everywhere=False)
    assert "nas_incep.architecture" in imports("nas_incep.gluon.networks", everywhere=False)
    assert "nas_incep.architecture" in imports("nas_incep.records", everywhere=False)
    assert "nas_incep.gluon.networks" in imports("nas_incep", everywhere=True)
    assert "nas_incep.gluon.networks" not in imports("nas_incep", everywhere=False)
    assert "rich.table" not in imports("nas_incep.leaderboard", everywhere=False)


def test_importing_the_core_imports_no_framework() -> None:
    lines = [
        "import importlib, sys",
        f"for name in {CORE!r}:",
        "    importlib.import_module(name)",
        f"    loaded = {FRAMEWORKS!r} & set(sys.modules)",
        "    assert not loaded, (name, loaded)",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_core_works_where_the_frameworks_cannot_be_imported() -> None:
    lines = [
        "import sys",
        "sys.modules['mxnet'] = sys.modules['gluoncv'] = None",
        "import nas_incep",
        "from nas_incep import architecture, space_file",
        "print(nas_incep.NOTEBOOK.parameters, space_file.read_space('quick').size())",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)
    assert done.stdout.startswith("1207622 "), done.stderr
