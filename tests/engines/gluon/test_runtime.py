"""What happens around `import mxnet`: the installation, the threads, the devices."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from nas_incep.errors import InputError

PACKAGE = Path(__file__).parents[3]
SITE = Path(sysconfig.get_paths()["purelib"])


def python(code: str, *folders: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh process that finds packages in `folders` alone, or in all places if none is given."""
    path = os.pathsep.join(map(str, (PACKAGE, *folders)))
    return subprocess.run(
        [sys.executable, *(["-S"] if folders else []), "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with everything that is installed, MXNet left out."""
    folder = tmp_path / "site"
    folder.mkdir()
    for path in SITE.iterdir():
        if not path.name.lower().startswith("mxnet"):
            (folder / path.name).symlink_to(path)
    return folder


def pretend_installed(site: Path, name: str) -> None:
    info = site / f"{name.replace('-', '_')}-1.9.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.9.1\n")


def test_a_missing_mxnet_is_told_in_one_sentence(site: Path) -> None:
    done = python("import nas_incep.engines.gluon.runtime", site)
    assert "InputError: MXNet is not installed: pip install 'nas-incep[cpu]'" in done.stderr


def test_two_mxnets_are_told_in_one_sentence(site: Path) -> None:
    pretend_installed(site, "mxnet")
    pretend_installed(site, "mxnet-cu112")
    done = python("import nas_incep.engines.gluon.runtime", site)
    assert "mxnet and mxnet-cu112 are both installed" in done.stderr


def test_cuda_libraries_from_wheels_are_loaded_before_mxnet(site: Path) -> None:
    """Any small shared library stands in for CUDA's; what matters is that it is mapped."""
    import _ctypes

    small = Path(_ctypes.__file__)
    pretend_installed(site, "mxnet-cu112")
    (site / "mxnet").symlink_to(SITE / "mxnet")
    library = site / "nvidia" / "cuda_runtime" / "lib" / "libcudart.so.11.0"
    library.parent.mkdir(parents=True)
    shutil.copy(small, library)
    code = (
        "import nas_incep.engines.gluon.runtime as r; print(r.mx.nd.ones((2,)).sum().asscalar()); "
        "print([l for l in open('/proc/self/maps') if 'libcudart.so.11.0' in l] != [])"
    )
    done = python(code, site)
    assert done.stdout.split() == ["2.0", "True"], done.stderr


def test_a_cuda_library_that_cannot_be_loaded_is_named(site: Path) -> None:
    pretend_installed(site, "mxnet-cu112")
    (site / "mxnet").symlink_to(SITE / "mxnet")
    library = site / "nvidia" / "cudnn" / "lib" / "libcudnn.so.8"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"not a library")
    done = python("import nas_incep.engines.gluon.runtime", site)
    assert "InputError" in done.stderr
    assert "libcudnn.so.8: cannot be loaded" in done.stderr


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, 1),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "4,2"}, 4),  # OpenMP's form for nested regions aborts MXNet
        ({"OMP_NUM_THREADS": "0"}, 1),
        ({"OMP_NUM_THREADS": "many"}, 1),
    ],
)
def test_threads_are_those_the_process_may_use_or_the_users(
    given: dict[str, str], expected: int
) -> None:
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
        "import nas_incep.engines.gluon.runtime as r; "
        "print(r.threads(), os.environ['OMP_NUM_THREADS'])"
    )
    environment = {"OMP_NUM_THREADS": "", **given}
    if not given:
        code = "import os; os.environ.pop('OMP_NUM_THREADS'); " + code
    done = python(code, **environment)
    assert done.stdout.split() == [str(expected)] * 2, done.stderr


def test_devices_resolve_by_name() -> None:
    from nas_incep.engines.gluon.runtime import device_name, mx, resolve_device

    assert resolve_device("cpu") == mx.cpu(0)
    assert resolve_device("cpu:1") == mx.cpu(1)
    assert device_name(resolve_device("auto")) in ("cpu", "gpu:0")
    for name in ("tpu", "gpu:x", "cpu:-1", "auto:1", ""):
        with pytest.raises(InputError, match="expected auto, cpu, gpu or gpu:K"):
            resolve_device(name)


def test_a_gpu_that_is_not_there_is_told_in_one_sentence() -> None:
    from nas_incep.engines.gluon.runtime import resolve_device

    with pytest.raises(InputError, match=r"^gpu:9 cannot be used: [^\n]+$"):
        resolve_device("gpu:9")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "Check failed: e == cudaSuccess: CUDA: no kernel image is available for execution",
            "generation",
        ),
        ("CUDA: CUDA driver version is insufficient for CUDA runtime version", "too old"),
        ("CUDA: out of memory", "memory is full"),
        ("first line\n  File x\nsomething else", "something else"),
    ],
)
def test_cuda_errors_are_put_into_the_users_words(message: str, reason: str) -> None:
    from nas_incep.engines.gluon.runtime import _gpu_reason

    assert reason in _gpu_reason(message)


def test_out_of_memory_is_recognized() -> None:
    from nas_incep.engines.gluon.runtime import is_out_of_memory, mx

    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(ValueError("out of memory"))
    assert not is_out_of_memory(mx.base.MXNetError("shape mismatch"))


def test_a_real_lack_of_memory_is_recognized() -> None:
    code = (
        "import resource; from nas_incep.engines.gluon.runtime import mx, is_out_of_memory\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))\n"
        "try: mx.nd.zeros((1 << 30,)).wait_to_read()\n"
        "except Exception as error: print(is_out_of_memory(error))"
    )
    assert python(code).stdout.split() == ["True"]
