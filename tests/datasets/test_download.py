"""Downloads of small archives from a server on this machine."""

from __future__ import annotations

import gzip
import hashlib
import resource
import socket
import tarfile
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers.archives import FILES, NAME, SHA1, archive, contents
from helpers.dataset_files import tar_bytes
from helpers.servers import free_port

from nas_incep.datasets import receive
from nas_incep.datasets.contents import contents_sha1
from nas_incep.datasets.download import Archive, fetch_archive
from nas_incep.datasets.registry import OfficialFile
from nas_incep.errors import InputError

pytestmark = pytest.mark.usefixtures("short_pause")


def fetch(what: Archive, target: Path) -> None:
    fetch_archive(what, target)


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
