"""What importing brings along. Which room may import which is import-linter's, in setup.cfg."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nas_incep

PACKAGE = Path(nas_incep.__file__).parent
FRAMEWORKS = {"mxnet", "gluoncv", "torch"}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = [module_name(path) for path in sorted(PACKAGE.rglob("*.py"))]
# These must work, and at once, where MXNet is missing or broken.
CORE = [
    name
    for name in MODULES
    if ".gluon" not in name
    and ".torch." not in name
    and not name.endswith("__main__")
    # Only `--logger` imports it; its package takes PyTorch along where that is installed.
    and name != "nas_incep.search.tensorboard"
]


def run_python(*lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True)


def test_importing_the_core_imports_no_framework() -> None:
    assert len(CORE) > 30
    done = run_python(
        "import importlib, sys",
        f"for name in {CORE!r}:",
        "    importlib.import_module(name)",
        f"    loaded = {FRAMEWORKS!r} & set(sys.modules)",
        "    assert not loaded, (name, loaded)",
    )
    assert done.returncode == 0, done.stderr


def test_the_core_works_where_the_frameworks_cannot_be_imported() -> None:
    done = run_python(
        "import sys",
        "sys.modules['mxnet'] = sys.modules['gluoncv'] = sys.modules['torch'] = None",
        "import nas_incep",
        "from nas_incep.spaces import counting, reader",
        "size = counting.count(reader.read_space('quick'), 10, (1, 8, 8))",
        "print(nas_incep.NOTEBOOK.parameters, size)",
    )
    assert done.stdout.startswith("1207622 "), done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "import mxnet; print(mxnet.nd.ones((2,)).sum().asscalar())",
        "from gluoncv.model_zoo import get_model; print(len(get_model('resnet18_v1').features))",
        "import gluoncv, torch; print(torch.__name__, gluoncv.__name__)",
    ],
)
def test_frameworks_of_the_past_are_importable_after_the_package(line: str) -> None:
    if "torch" in line:
        pytest.importorskip("torch")
    done = run_python("import nas_incep", line)
    assert done.returncode == 0 and done.stdout, done.stderr
    # Without the package they are not, with the numpy and the PyTorch that are installed here.
    if np.lib.NumpyVersion(np.__version__) >= "1.24.0":
        assert run_python(line).returncode != 0


def test_mxnet_comes_without_the_slow_parts_of_scipy_which_still_work() -> None:
    done = run_python(
        "import sys",
        "from nas_incep.engines.gluon.runtime import mx",
        "assert not {'sklearn', 'scipy.stats'} & set(sys.modules)",
        "print(mx.contrib.quantization.stats.norm.cdf(0))",
        "import scipy.stats, sklearn.base",
        "print(scipy.stats.rankdata([3, 1])[0], sklearn.base.BaseEstimator.__name__)",
    )
    assert done.stdout.split() == ["0.5", "2.0", "BaseEstimator"], done.stderr


def test_the_package_itself_imports_none_of_its_rooms() -> None:
    done = run_python(
        "import sys, nas_incep",
        "print(*sorted(n for n in sys.modules if n.startswith(('nas_incep', 'optuna', 'numpy'))))",
    )
    assert done.stdout.split() == [
        "nas_incep",
        "nas_incep._files",
        "nas_incep._formats",
        "nas_incep._importing",
        "nas_incep.architecture",
        "nas_incep.errors",
        "nas_incep.search",
        "nas_incep.stages",
    ], done.stderr
