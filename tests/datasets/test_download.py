"""Downloads of small archives from a server on this machine."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import resource
import socket
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.dataset_files import tar_bytes

from nas_incep.cli.data import data as data_command
from nas_incep.datasets import DATASETS, download, receive
from nas_incep.datasets.contents import PACKING_BYTES, contents_sha1
from nas_incep.datasets.download import Archive, fetch_archive
from nas_incep.datasets.registry import OfficialFile
from nas_incep.errors import InputError

FILES = {"data_batch_1.bin": b"first" * 1000, "test_batch.bin": b"second" * 1000}
SHA1 = {name: hashlib.sha1(content).hexdigest() for name, content in FILES.items()}
OFFICIAL = {name: OfficialFile(len(content), SHA1[name]) for name, content in FILES.items()}
NAME = "small.tar.gz"


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; some names in the address ask for misbehavior."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        first_time = self.server.asked.count(self.path) == 1
        if self.path.startswith("/busy/") or (self.path.startswith("/busy-once/") and first_time):
            self.send_error(503)
        elif self.path.startswith("/short/"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
        elif self.path.startswith("/endless/"):
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                while True:
                    self.wfile.write(bytes(1 << 16))
        else:
            self.path = "/" + self.path.rsplit("/", 1)[-1]
            super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Path:
    (tmp_path / "served").mkdir()
    return tmp_path / "served"


@pytest.fixture
def server(served: Path) -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(served))) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def address(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "PAUSE_SECONDS", 0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def archive(*bases: str, name: str = NAME) -> Archive:
    return Archive("CIFAR-10", name, bases, OFFICIAL)


def fetch(what: Archive, target: Path) -> None:
    fetch_archive(what, target)


def contents(folder: Path) -> dict[str, bytes]:
    """All that lies in a folder, hidden or not."""
    if not folder.exists():
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fault(what: Archive, target: Path) -> str:
    """The one sentence with which a download fails; nothing may be left behind."""
    before = contents(target)
    with pytest.raises(InputError) as error:
        fetch(what, target)
    text = str(error.value)
    assert "\n" not in text
    assert contents(target) == before
    return text


@pytest.mark.parametrize("folder", ["", "./", "cifar-10-batches-bin/"])
def test_an_archive_lands_flat_and_alone(
    served: Path, address: str, target: Path, folder: str
) -> None:
    (served / NAME).write_bytes(tar_bytes({**FILES, "readme.html": b"more"}, folder))
    fetch(archive(address), target)
    assert contents(target) == FILES


def test_a_single_file_is_kept_packed(served: Path, address: str, target: Path) -> None:
    content = b"label" * 100
    (served / "labels.gz").write_bytes(gzip.compress(content))
    single = Archive(
        "Fashion-MNIST",
        "labels.gz",
        (address,),
        {"labels.gz": OfficialFile(len(content), contents_sha1(content))},
    )
    fetch(single, target)
    assert contents(target) == contents(served)


def test_progress_ends_with_the_whole(served: Path, address: str, target: Path) -> None:
    (served / NAME).write_bytes(tar_bytes(FILES))
    calls: list[tuple[int, int | None]] = []
    fetch_archive(archive(address), target, progress=lambda *call: calls.append(call))
    size = (served / NAME).stat().st_size
    assert calls[-1] == (size, size)
    assert calls == sorted(calls)


def test_nothing_is_downloaded_twice(
    served: Path, address: str, target: Path, server: ThreadingHTTPServer
) -> None:
    (served / NAME).write_bytes(tar_bytes(FILES))
    for _ in range(2):
        fetch(archive(address), target)
    assert len(server.asked) == 1


def test_what_is_missing_is_added(served: Path, address: str, target: Path) -> None:
    (served / NAME).write_bytes(tar_bytes(FILES))
    fetch(archive(address), target)
    (target / "test_batch.bin").unlink()
    fetch(archive(address), target)
    assert contents(target) == FILES


def test_the_next_address_is_tried(
    served: Path, address: str, target: Path, server: ThreadingHTTPServer
) -> None:
    (served / NAME).write_bytes(tar_bytes(FILES))
    fetch(archive(f"http://127.0.0.1:{free_port()}", f"{address}/busy/", address), target)
    assert contents(target) == FILES
    assert server.asked == [f"/busy/{NAME}", f"/busy/{NAME}", f"/{NAME}"]


def test_a_server_that_is_busy_is_asked_again(served: Path, address: str, target: Path) -> None:
    (served / NAME).write_bytes(tar_bytes(FILES))
    fetch(archive(f"{address}/busy-once"), target)
    assert contents(target) == FILES


# Faults: one sentence, and nothing is left behind.


def test_every_address_is_named_with_its_reason(address: str, target: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    text = fault(archive(nobody, address, f"{address}/busy", f"{address}/short", "nas"), target)
    assert text.startswith(
        f"CIFAR-10 could not be downloaded from {nobody}/{NAME} (no connection) or "
        f"{address}/{NAME} (HTTP 404) or {address}/busy/{NAME} (HTTP 503) or "
        f"{address}/short/{NAME} ("
    )
    assert text.endswith(
        f") or nas/{NAME} (not an address that can be asked): get data_batch_1.bin, "
        f"test_batch.bin by other means and put that into {target}"
    )
    assert "the connection broke off" in text or "broke off after 10 of 1000 bytes" in text


def test_a_silent_server(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "READ_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = fault(archive(f"http://127.0.0.1:{silent.getsockname()[1]}"), target)
    assert "(no answer in time)" in text


def test_wrong_sum(served: Path, address: str, target: Path) -> None:
    (served / NAME).write_bytes(tar_bytes({**FILES, "test_batch.bin": b"other"}))
    assert (
        f"(the SHA-1 sum of the contents of test_batch.bin is {hashlib.sha1(b'other').hexdigest()}"
        f", expected {SHA1['test_batch.bin']})"
    ) in fault(archive(address), target)


def test_a_file_is_lacking(served: Path, address: str, target: Path) -> None:
    (served / NAME).write_bytes(tar_bytes({"data_batch_1.bin": FILES["data_batch_1.bin"]}))
    assert "(it lacks test_batch.bin)" in fault(archive(address), target)


@pytest.mark.parametrize("kept", [0, 10, 60, -30])
def test_no_whole_archive(served: Path, address: str, target: Path, kept: int) -> None:
    (served / NAME).write_bytes(tar_bytes(FILES)[:kept])
    text = fault(archive(address), target)
    assert "(not a whole .tar.gz file: " in text or "(it lacks " in text


def test_a_page_in_place_of_the_archive(served: Path, address: str, target: Path) -> None:
    (served / NAME).write_bytes(b"<html>Please log in</html>")
    assert "(not a whole .tar.gz file: " in fault(archive(address), target)


def test_a_page_in_place_of_a_gzip_file(served: Path, address: str, target: Path) -> None:
    (served / "labels.gz").write_bytes(b"<html>Please log in</html>")
    single = Archive(
        "Fashion-MNIST", "labels.gz", (address,), {"labels.gz": OfficialFile(1000, "0" * 40)}
    )
    assert "(not a whole gzip file)" in fault(single, target)


def test_an_answer_without_end(address: str, target: Path, server: ThreadingHTTPServer) -> None:
    limit = sum(map(len, FILES.values())) + PACKING_BYTES
    text = fault(archive(f"{address}/endless"), target)
    assert f"{NAME} (too large: more than {limit:,} bytes)" in text
    assert len(server.asked) == 1  # a second try would not help


def test_more_in_the_archive_than_can_be(served: Path, address: str, target: Path) -> None:
    (served / NAME).write_bytes(tar_bytes({**FILES, "test_batch.bin": bytes(1 << 22)}))
    text = fault(archive(address), target)
    assert "(test_batch.bin: too large: it holds more than 6,000 bytes, and the official" in text
    (served / NAME).write_bytes(tar_bytes({**FILES, "readme.html": bytes(1 << 22)}))
    assert "(too large: it holds more than " in fault(archive(address), target)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_links_and_folders_are_not_taken(
    served: Path, address: str, target: Path, kind: bytes
) -> None:
    with tarfile.open(served / NAME, "w:gz") as tar:
        for name in FILES:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    assert "(it lacks data_batch_1.bin)" in fault(archive(address), target)


def test_no_member_leads_out_of_the_folder(
    served: Path, address: str, target: Path, tmp_path: Path
) -> None:
    bad = {f"../../{name}": content for name, content in FILES.items()}
    (served / NAME).write_bytes(tar_bytes({**bad, "../../evil": b"", "/tmp/evil": b""}, ""))
    fetch(archive(address), target)
    assert contents(target) == FILES
    assert {path.name for path in tmp_path.iterdir()} == {"served", "target"}


def test_other_files_are_never_overwritten(served: Path, address: str, target: Path) -> None:
    (served / NAME).write_bytes(tar_bytes(FILES))
    target.mkdir()
    (target / "test_batch.bin").write_bytes(b"the user's own")
    assert fault(archive(address), target) == (
        f"{target / 'test_batch.bin'}: differs from the official file, and files already there "
        "are never overwritten: move it away, or name another folder"
    )


def test_a_target_that_cannot_be_written(address: str, target: Path) -> None:
    target.write_bytes(b"a file")
    with pytest.raises(InputError, match=rf"^{target}: cannot be written to: File exists$"):
        fetch(archive(address), target)


@pytest.mark.parametrize("limit", [1, 4500], ids=["while receiving", "while unpacking"])
def test_a_full_disk_leaves_nothing(served: Path, address: str, target: Path, limit: int) -> None:
    (served / NAME).write_bytes(tar_bytes(FILES))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            fetch(archive(address), target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(target) == {}


def test_an_interruption_leaves_nothing(served: Path, address: str, target: Path) -> None:
    (served / NAME).write_bytes(tar_bytes(FILES))

    def interrupt(received: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_archive(archive(address), target, progress=interrupt)
    assert contents(target) == {}


# The data sets by name.


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
def test_the_archive_itself_is_as_good_as_its_files(target: Path) -> None:
    target.mkdir()
    path = target / "cifar-10-binary.tar.gz"
    path.write_bytes(tar_bytes(FILES))
    assert download.find_whole("CIFAR-10", target) == path
    assert download.download("CIFAR-10", target) == path
    path.write_bytes(tar_bytes({**FILES, "test_batch.bin": b"other"}))
    assert download.find_whole("cifar10", target) is None
    path.write_bytes(b"no archive")
    assert download.find_whole("cifar10", target) is None


@pytest.mark.usefixtures("cifar10")
def test_the_command_says_where_the_files_are(address: str, target: Path) -> None:
    for said in ("downloaded to", "already there, in"):
        arguments = ["cifar-10", "--data-dir", str(target), "--mirror", address]
        done = CliRunner().invoke(data_command, arguments, catch_exceptions=False)
        assert done.output == f"cifar10: {said} {target}\n"


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
    with pytest.raises(InputError, match=r"^digits ships with nas_incep: nothing to download$"):
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
