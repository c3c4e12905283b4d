"""Small files: what is read, what is refused unread, what a crash or an attacker may leave."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_incep import _files
from nas_incep._files import (
    append_line,
    copy_regular,
    open_regular,
    parse_json,
    read_json,
    read_text,
    sha256,
    write_json,
)
from nas_incep.errors import InputError


@pytest.fixture(params=["link", "folder", "fifo", "socket", "dangling link"])
def irregular(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Something that is no regular file; to open a FIFO would wait for ever."""
    path = tmp_path / "thing"
    (tmp_path / "secret").write_text('"secret"')
    if request.param == "link":
        path.symlink_to(tmp_path / "secret")
    elif request.param == "dangling link":
        path.symlink_to(tmp_path / "not there")
    elif request.param == "folder":
        path.mkdir()
    elif request.param == "fifo":
        os.mkfifo(path)
    else:
        import socket

        with socket.socket(socket.AF_UNIX) as server:
            old = os.getcwd()
            os.chdir(tmp_path)  # a socket's path is short
            server.bind("thing")
            os.chdir(old)
    return path


def test_only_regular_files_are_opened(irregular: Path, tmp_path: Path) -> None:
    for action in (
        lambda: open_regular(irregular),
        lambda: read_text(irregular, regular=True),
        lambda: read_json(irregular, regular=True),
        lambda: sha256(irregular),
        lambda: copy_regular(irregular, tmp_path / "copy"),
        lambda: append_line(irregular, "line"),
    ):
        with pytest.raises(InputError, match=f"^{irregular}: a regular file is expected"):
            action()
    assert (tmp_path / "secret").read_text() == '"secret"'
    assert not (tmp_path / "not there").exists()
    assert not (tmp_path / "copy").exists()


def test_devices_are_refused() -> None:
    with pytest.raises(InputError, match="this is a device or socket"):
        read_text(Path("/dev/zero"), regular=True)


def test_a_file_that_is_not_there_is_called_so(tmp_path: Path) -> None:
    for action in (open_regular, read_text, sha256):
        with pytest.raises(InputError, match="no such file"):
            action(tmp_path / "nothing")
    with pytest.raises(InputError, match="cannot be read"):
        open_regular(Path("a\0b"))


def test_a_users_own_link_or_pipe_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_text(tmp_path / "link") == "text"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("piped",))
    writer.start()
    assert read_text(pipe) == "piped"
    writer.join()


def test_line_ends_are_unixs(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\r\nb\rc\n")
    assert read_text(tmp_path / "file") == "a\nb\nc\n"


def test_a_large_file_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_files, "MAX_TEXT", 100)
    (tmp_path / "file").write_text("x" * 100)
    assert len(read_text(tmp_path / "file")) == 100
    (tmp_path / "file").write_text("x" * 101)
    with pytest.raises(InputError, match="is larger than"):
        read_text(tmp_path / "file")


def test_an_endless_file_is_refused_in_bounded_memory() -> None:
    code = (
        "import sys; from pathlib import Path; from nas_incep._files import read_text\n"
        "try: read_text(Path('/dev/zero'))\n"
        "except ValueError as error: print(error)"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=limit
    )
    assert "/dev/zero: is larger than the 64 MB that are expected" in done.stdout, done.stderr


def test_copies_and_sums_keep_to_their_limit(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100)
    copy_regular(source, tmp_path / "copy", limit=100)
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    for action in (
        lambda: copy_regular(source, tmp_path / "other", limit=99),
        lambda: sha256(source, limit=99),
    ):
        with pytest.raises(InputError, match="has 100 bytes, at most 99 are expected"):
            action()


def test_lines_are_appended(tmp_path: Path) -> None:
    for line in ("one", "zwei ü"):
        append_line(tmp_path / "log", line)
    assert (tmp_path / "log").read_text(encoding="utf-8") == "one\nzwei ü\n"


# JSON.


@pytest.mark.parametrize("text", ["1e999", "-1e999", "[1e400]", '{"a": 1e309}'])
def test_a_number_that_is_not_finite_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"here: .* is too large a number"):
        parse_json(text, "here")


@pytest.mark.parametrize("pair", ["[]", ('{"a":', "}")])
@pytest.mark.parametrize("depth", [65, 500, 100_000])
def test_deep_nesting_is_refused(pair: tuple[str, str], depth: int) -> None:
    opening, closing = pair
    value = "0" if opening != "[" else ""
    with pytest.raises(InputError, match="nested too deeply"):
        parse_json(opening * depth + value + closing * depth, "here")


def test_sixty_four_levels_are_enough() -> None:
    assert parse_json("[" * 64 + "]" * 64, "here")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)  # fmt: skip
def test_all_other_json_reads_as_it_was(value: object) -> None:
    assert parse_json(json.dumps(value), "here") == value


def test_an_object_of_many_keys_is_read_at_once() -> None:
    many = {f"key {number}": 0 for number in range(100_000)}
    # Not once for each pair of keys, which would take minutes.
    started = time.process_time()
    assert parse_json(json.dumps(many), "it") == many
    twice = json.dumps(many)[:-1] + ', "key 7": 1}'
    with pytest.raises(InputError, match="it: key 'key 7' is given twice"):
        parse_json(twice, "it")
    assert time.process_time() - started < 20


def test_a_file_of_a_folder_by_someone_else_is_small(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text("[" + "[]," * (3 << 20) + "[]]")
    with pytest.raises(InputError, match=r"record\.json: is larger than the 8 MB"):
        read_json(path, regular=True)
    path.write_text(json.dumps("x" * (9 << 20)))
    assert len(read_json(path)) == 9 << 20  # one that the user names may be larger


def test_a_file_is_not_written_through_a_link_that_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("keep")
    (tmp_path / f".x.json.{os.getpid()}.tmp").symlink_to(tmp_path / "secret")
    write_json(tmp_path / "x.json", 1)
    assert (tmp_path / "secret").read_text() == "keep"
    assert not (tmp_path / "x.json").is_symlink()
