"""The data sets by name: from where they come, and where to."""

from __future__ import annotations

from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers.archives import FILES, NAME, archive, contents
from helpers.dataset_files import tar_bytes
from helpers.servers import free_port

from nas_incep.datasets import DATASETS, download
from nas_incep.errors import InputError

pytestmark = pytest.mark.usefixtures("short_pause")


@pytest.fixture
def cifar10(served: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the small archive in the place of CIFAR-10's; the official address is dead."""
    (served / NAME).write_bytes(tar_bytes(FILES))
    dead = archive(f"http://127.0.0.1:{free_port()}")
    monkeypatch.setitem(download.ARCHIVES, "cifar10", (dead,))


@pytest.mark.usefixtures("cifar10")
def test_the_mirror_comes_first(address: str, target: Path, server: ThreadingHTTPServer) -> None:
    assert download.find_whole("cifar10", target) is None
    assert download.download("cifar10", target, mirror=f"{address}/mirror/") == target
    assert server.asked == [f"/mirror/{NAME}"]
    assert contents(target) == FILES
    # Now all is there: no address is needed any more.
    assert download.find_whole("cifar10", target) == target
    assert download.download("cifar10", target) == target


@pytest.mark.usefixtures("cifar10")
def test_without_a_folder_mxnets_is_filled(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mx"))
    folder = tmp_path / "mx" / "datasets" / "cifar10"
    assert download.download("cifar10", mirror=address) == folder
    assert contents(folder) == FILES


@pytest.mark.usefixtures("cifar10")
def test_a_folder_begun_before_is_completed(address: str, target: Path) -> None:
    below = target / "cifar10"
    below.mkdir(parents=True)
    (below / "test_batch.bin").write_bytes(FILES["test_batch.bin"])
    assert download.download("cifar10", target, mirror=address) == below
    assert contents(below) == FILES


def test_digits_need_no_download() -> None:
    with pytest.raises(InputError, match=r"^digits ships with scikit-learn: nothing to download$"):
        download.download("digits")
    assert download.find_whole("digits") is None


def test_unknown_data_set() -> None:
    with pytest.raises(InputError, match=r"^data set 'mnist' is not known"):
        download.download("mnist")


@pytest.mark.parametrize("name", sorted(download.ARCHIVES))
def test_the_archives_hold_exactly_the_files_that_are_read(name: str) -> None:
    info = DATASETS[name]
    files = [file for what in download.ARCHIVES[name] for file in what.files]
    assert sorted(files) == sorted(info.train_files + info.test_files)
    for what in download.ARCHIVES[name]:
        assert all(base.startswith("http") and not base.endswith("/") for base in what.bases)
