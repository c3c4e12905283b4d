"""What others may have put into a bundle or a run folder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import run_cli

from nas_incep.errors import InputError
from nas_incep.export.bundle import choose, export, open_bundle
from nas_incep.results.run import Run


def change_manifest(path: Path, **changes: Any) -> None:
    file = path / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def put(path: Path, what: str, secret: Path) -> None:
    """Puts something that is no regular file in a file's place."""
    path.unlink(missing_ok=True)
    if what == "link":
        path.symlink_to(secret)
    elif what == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()


@pytest.mark.parametrize("what", ["link", "fifo", "folder"])
@pytest.mark.parametrize("name", ["architecture.json", "weights.params", "manifest.json"])
def test_a_file_of_a_bundle_must_be_a_regular_one(
    copy: Path, tmp_path: Path, name: str, what: str
) -> None:
    secret = tmp_path / "same"
    secret.write_bytes((copy / name).read_bytes())
    put(copy / name, what, secret)
    with pytest.raises(InputError, match=f"{name}: a regular file is expected"):
        open_bundle(copy)


@pytest.mark.parametrize("what", ["link", "fifo", "folder"])
def test_the_log_of_looks_is_no_way_out_of_the_bundle(
    copy: Path, finished_run: Path, tmp_path: Path, what: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    put(copy / "test_evaluations.jsonl", what, secret)
    for command in (
        ("evaluate", copy, "--split", "test", "--device", "cpu"),
        ("export", finished_run, copy, "--force"),
    ):
        done = run_cli(*command)
        assert done.returncode == 2
        assert "test_evaluations.jsonl: a regular file is expected" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert secret.read_text() == "secret\n"
    assert not (copy / "test_evaluations.jsonl").is_file() or what == "link"


def test_weights_larger_than_the_architecture_needs_are_refused_unread(copy: Path) -> None:
    with open(copy / "weights.params", "r+b") as file:
        file.truncate(10**11)  # sparse: it takes no room, but hours to read
    with pytest.raises(InputError, match=r"weights\.params: has 100,000,000,000 bytes, at most"):
        open_bundle(copy)


def test_a_bundle_says_which_engine_made_it(bundle: Path, copy: Path) -> None:
    value = json.loads((bundle / "manifest.json").read_text())
    assert value["engine"] == "gluon"
    del value["engine"]
    (copy / "manifest.json").write_text(json.dumps(value))
    assert open_bundle(copy).manifest.engine == "gluon"


def test_means_must_be_the_channels(copy: Path) -> None:
    preprocessing = json.loads((copy / "manifest.json").read_text())["preprocessing"]
    change_manifest(copy, preprocessing={**preprocessing, "mean": [0.1, 0.2]})
    with pytest.raises(InputError, match=r"preprocessing\.mean has 2 values for 1 channels"):
        open_bundle(copy)


@pytest.mark.parametrize("what", ["link", "fifo", "folder"])
def test_parameters_in_a_run_folder_must_be_a_regular_file(
    finished_run: Path, tmp_path: Path, what: str
) -> None:
    run = Run(Path(shutil.copytree(finished_run, tmp_path / "run")))
    best = choose(run, run.config())
    secret = tmp_path / "secret"
    secret.write_text("secret")
    put(run.entry(best.subject).weights, what, secret)
    with pytest.raises(InputError, match=r"\.params: a regular file is expected"):
        export(run, run.config(), best, tmp_path / "b")
    assert not (tmp_path / "b").exists()
