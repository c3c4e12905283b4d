"""Contents of files and archives: read whole, within bounds, or refused in one sentence."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from helpers.dataset_files import BATCHES, sentence, tar_bytes, write_cifar10, write_fashion
from hypothesis import given
from hypothesis import strategies as st

from nas_incep.datasets import load
from nas_incep.datasets.contents import PACKING_BYTES, read_contents, read_members
from nas_incep.errors import InputError

SIZES = {"train.bin": 600, "test.bin": 500}  # the most that there may be of each
MEMBERS = {"train.bin": b"a" * 600, "notes.txt": b"!", "test.bin": b"b" * 400}
LIMIT = 1100 + PACKING_BYTES
MANY = 1 << 40
# Reads a file with little memory left, so that unpacking it whole would fail.
FRUGAL = """
import resource, sys
from pathlib import Path
from nas_incep.datasets.contents import read_contents, read_members
from nas_incep.errors import InputError
path = Path(sys.argv[1])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
try:
    if path.name.endswith(".tar.gz"):
        print(dict(read_members(path, {"train.bin": 600, "test.bin": 500}, ["train.bin"])))
    else:
        print(len(read_contents(path, 1 << 20)))
except InputError as error:
    print(error)
"""


def said_with_little_memory(path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FRUGAL, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


def too_large(path: Path, limit: int) -> str:
    return f"{path}: too large: it holds more than {limit:,} bytes, and the official one does not"


def members(path: Path, *names: str) -> dict[str, bytes]:
    return dict(read_members(path, SIZES, names or tuple(SIZES)))


def fault(path: Path) -> str:
    with pytest.raises(InputError) as error:
        members(path)
    return sentence(error)


# Files.


@pytest.mark.parametrize("kind", ["folder", "loop"])
def test_unreadable_file(tmp_path: Path, kind: str) -> None:
    write_cifar10(tmp_path)
    path = tmp_path / BATCHES[0]
    path.unlink()
    path.mkdir() if kind == "folder" else path.symlink_to(path)
    with pytest.raises(InputError) as error:
        load("cifar10", tmp_path)
    assert sentence(error).startswith(f"{path}: cannot be read: ")


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b"no gzip at all",
        lambda b: b[:-20],
        lambda b: b[:100] + bytes([b[100] ^ 255]) + b[101:],
        lambda b: b[:-8] + bytes(4) + b[-4:],
        lambda b: b"",
    ],
    ids=["other", "truncated", "flipped", "checksum", "empty"],
)
def test_corrupt_gzip(tmp_path: Path, change) -> None:
    write_fashion(tmp_path, "train")
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError) as error:
        load("fashion_mnist", tmp_path)
    assert sentence(error).startswith(f"{path}: ")


@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_a_file_may_be_as_large_as_the_official_one_and_no_larger(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    for size in (99, 100, 101):
        content = os.urandom(size)
        path.write_bytes(gzip.compress(content) if path.suffix else content)
        if size <= 100:
            assert read_contents(path, 100) == content
        else:
            with pytest.raises(InputError) as error:
                read_contents(path, 100)
            assert sentence(error) == too_large(path, 100)


@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_a_huge_file_is_not_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with open(path, "wb") as file:
        file.truncate(MANY)
    limit = (1 << 20) + (PACKING_BYTES if path.suffix else 0)
    assert said_with_little_memory(path) == too_large(path, limit)


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(bytes(1 << 25)) * 16)
    assert path.stat().st_size < PACKING_BYTES  # of the 512 MiB in it
    assert said_with_little_memory(path) == too_large(path, 1 << 20)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_pipes_and_devices_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / BATCHES[0]
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(InputError) as error:
        load("cifar10", write_rest(tmp_path))
    assert sentence(error) == f"{path}: cannot be read: not a regular file"


def write_rest(folder: Path) -> Path:
    """The batches 2 to 5."""
    write_cifar10(folder / "whole")
    for name in BATCHES[1:]:
        (folder / "whole" / name).rename(folder / name)
    return folder


# Archives.


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "small.tar.gz"


def packed(*headers: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT, data: bytes = b"") -> bytes:
    """An archive of headers, the last one followed by data, and of MEMBERS."""
    blocks = b"".join(header.tobuf(form) for header in headers)
    rest = gzip.decompress(tar_bytes(MEMBERS))
    return gzip.compress(blocks + data + bytes(-len(data) % 512) + rest)


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = size, kind, "/etc/passwd"
    return made


def test_only_the_wanted_members_are_read(path: Path) -> None:
    path.write_bytes(tar_bytes(MEMBERS))
    assert members(path, "test.bin") == {"test.bin": MEMBERS["test.bin"]}
    assert members(path) == {name: MEMBERS[name] for name in SIZES}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_what_is_no_file_is_passed_over(path: Path, kind: bytes) -> None:
    path.write_bytes(packed(header("train.bin", kind=kind)))
    assert members(path, "train.bin") == {"train.bin": MEMBERS["train.bin"]}


def sparse(size: int, holes: bytes = b"0\n") -> tuple[tarfile.TarInfo, bytes]:
    """A member of PAX's sparse format 1.0 that holds nothing but holes."""
    data = holes + bytes(-len(holes) % 512)
    made = header("GNUSparseFile.0/train.bin", len(data))
    made.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "train.bin",
        "GNU.sparse.realsize": str(size),
    }
    return made, data


@pytest.mark.parametrize("size", [600, MANY])
def test_a_sparse_member_is_not_filled_up(path: Path, size: int) -> None:
    made, data = sparse(size)
    path.write_bytes(packed(made, data=data))
    with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked) as tar:
        first = tar.next()
        assert first is not None and first.issparse() and first.size == size
    assert said_with_little_memory(path) == str({"train.bin": MEMBERS["train.bin"]})


def test_a_long_list_of_holes_is_not_unfolded(path: Path) -> None:
    made, data = sparse(600, b"1000000\n" + b"0\n" * 2_000_000)
    path.write_bytes(packed(made, data=data))
    with pytest.raises(InputError) as error:
        dict(read_members(path, {"train.bin": 1 << 30}, ["train.bin"]))
    assert sentence(error) == (
        f"{path}: not a whole .tar.gz file: its headers alone take more than "
        f"{PACKING_BYTES:,} bytes"
    )


@pytest.mark.parametrize("size", [601, MANY])
def test_a_member_larger_than_the_official_file(path: Path, size: int) -> None:
    path.write_bytes(packed(header("folder/train.bin", size), form=tarfile.GNU_FORMAT))
    assert fault(path) == too_large(path / "train.bin", 600)


@pytest.mark.parametrize("name", ["notes.txt", "test.bin"])
def test_a_member_that_is_not_wanted_is_no_way_around(path: Path, name: str) -> None:
    path.write_bytes(packed(header(name, MANY), form=tarfile.GNU_FORMAT))
    with pytest.raises(InputError) as error:
        members(path, "train.bin")
    assert sentence(error) == too_large(path, LIMIT)


@pytest.mark.parametrize("first", [header("notes.txt", 1 << 29).tobuf(), b""])
def test_an_archive_of_zeros_is_not_unpacked(path: Path, first: bytes) -> None:
    zeros = gzip.compress(bytes(1 << 25)) * 16
    path.write_bytes(gzip.compress(first or gzip.decompress(tar_bytes(MEMBERS))) + zeros)
    assert said_with_little_memory(path) == too_large(path, LIMIT)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_header_of_a_terabyte(path: Path, kind: bytes) -> None:
    path.write_bytes(packed(header("name", MANY, kind), form=tarfile.GNU_FORMAT))
    assert said_with_little_memory(path) == too_large(path, LIMIT)


def test_a_member_of_negative_size_ends(path: Path) -> None:
    path.write_bytes(packed(header("a", 0), header("b", -512), form=tarfile.GNU_FORMAT))
    assert "not a whole .tar.gz file: a member begins inside another one" in fault(path)


def test_long_names_without_end(path: Path) -> None:
    links = [header("name", 0, tarfile.GNUTYPE_LONGNAME) for _ in range(2000)]
    path.write_bytes(packed(*links, form=tarfile.GNU_FORMAT))
    assert fault(path).startswith(f"{path}: ")


def test_a_changed_byte_is_noticed_by_the_sum_of_the_archive(path: Path) -> None:
    content = bytearray(tar_bytes(MEMBERS))
    content[-8] ^= 1  # of the sum
    path.write_bytes(content)
    assert fault(path).startswith(f"{path}: not a whole .tar.gz file: CRC check failed")


@given(
    changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=20),
    kept=st.none() | st.integers(0, 5000),
)
def test_whatever_an_archive_holds_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], kept: int | None
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in MEMBERS.items():
            member = header(name, len(content))
            member.pax_headers = {"comment": "x", "mtime": "1.5"}
            tar.addfile(member, io.BytesIO(content))
    content = bytearray(buffer.getvalue()[:kept])
    for position, value in changes:
        if position < len(content):
            content[position] = value
    path = tmp_path_factory.getbasetemp() / "changed.tar.gz"
    path.write_bytes(gzip.compress(content))
    try:
        found = members(path)
    except InputError as error:
        assert str(error).startswith(str(path))
    else:
        assert all(len(found[name]) <= SIZES[name] for name in found)
