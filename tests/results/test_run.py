"""The run folder: where a trial's files lie, and what is said of a record that is damaged."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from helpers.commands import run_cli
from helpers.records import a_config, record

from nas_incep._files import write_json
from nas_incep.errors import InputError
from nas_incep.export.bundle import choose
from nas_incep.records import COMPLETE
from nas_incep.results.known import Known
from nas_incep.results.run import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Three complete candidates and a baseline."""
    made = Run(tmp_path / "run")
    made.begin(a_config())
    for trial, accuracy in ((None, 0.7), (0, 0.5), (1, 0.9), (2, 0.6)):
        one = record(trial, COMPLETE, accuracy)
        made.entry(one.subject).write(one)
    return made


def test_an_entry_is_all_of_a_trials_paths(run: Run) -> None:
    entry, baseline = run.trial(7), run.baseline("inception3@75")
    assert entry.record_path == run.path / "trials" / "000007.json"
    assert entry.weights == run.path / "trials" / "000007.params"
    assert entry.checkpoint == run.path / "trials" / "000007.checkpoint"
    assert baseline.weights == run.path / "baselines" / "inception3@75.params"
    for trial in (None, 2):
        subject = record(trial, COMPLETE).subject
        assert run.entry(subject).read().subject == subject
    assert run.baseline("densenet.1").weights.name == "densenet.1.params"


@pytest.mark.parametrize("name", ["../x", "..", ".x", "a/b", "", "A", "x" * 200])
def test_a_name_that_is_no_files_makes_no_path(run: Run, name: str) -> None:
    with pytest.raises(InputError, match="name is"):
        run.baseline(name)


def test_a_record_of_another_trial_is_refused(run: Run) -> None:
    write_json(run.trial(1).record_path, record(2, COMPLETE, 0.5).to_json())
    with pytest.raises(InputError, match=r"000001\.json: is the record of trial 2"):
        run.trial(1).read()
    write_json(run.baseline("other").record_path, record(None, COMPLETE, 0.5).to_json())
    with pytest.raises(InputError, match=r"other\.json: is the record of baseline inception3@75"):
        run.baseline("other").read()
    run.baseline("other").record_path.unlink()
    run.trial(1).record_path.unlink()
    os.rename(run.trial(2).record_path, run.path / "trials" / "2.json")
    with pytest.raises(InputError, match=r"trials/2\.json: is the record of trial 2"):
        run.records()


def damage(run: Run, how: str) -> Path:
    """Damages the record of trial 1."""
    path = run.trial(1).record_path
    value = json.loads(path.read_text())
    if how == "truncated":
        path.write_text(path.read_text()[:100])
    elif how == "type":
        value["curve"][0]["val_accuracy"] = "0.5"
    elif how == "range":
        path.write_text(path.read_text().replace('"seconds": 3.0', '"seconds": 1e999'))
    elif how == "number":
        value["trial"] = 2
    elif how == "key":
        value["surprise"] = 1
    elif how == "state":
        value["state"] = "\x1b[31m"
    elif how == "fifo":
        path.unlink()
        os.mkfifo(path)
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "link":
        path.rename(run.path / "elsewhere")
        path.symlink_to(run.path / "elsewhere")
    if how in ("type", "number", "key", "state"):
        path.write_text(json.dumps(value))
    return path


DAMAGES = ["truncated", "type", "range", "number", "key", "state", "fifo", "folder", "link"]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_record_is_left_out_with_a_notice(run: Run, how: str) -> None:
    path = damage(run, how)
    with pytest.raises(InputError, match=re.escape(str(path))):
        run.records()
    said: list[str] = []
    assert [r.subject.trial for r in run.records(said.append)] == [None, 0, 2]
    assert len(said) == 1 and said[0].startswith(str(path)) and said[0].endswith("it is left out")
    assert choose(run, run.config(), say=said.append).subject.trial == 2


@pytest.mark.parametrize("how", DAMAGES)
def test_a_search_sets_it_aside_whatever_is_wrong_with_it(run: Run, how: str) -> None:
    damage(run, how)
    [notice] = run.set_aside_damaged()
    assert notice.endswith("it is set aside as 000001.json.damaged")
    assert os.path.lexists(run.path / "trials" / "000001.json.damaged")
    assert [r.subject.trial for r in run.records()] == [None, 0, 2]
    assert run.set_aside_damaged() == []


@pytest.mark.parametrize("how", ["type", "state"])
def test_the_leaderboard_ranks_the_others(run: Run, how: str) -> None:
    damage(run, how)
    for form in ("table", "json", "csv"):
        done = run_cli("leaderboard", run.path, "--format", form)
        assert done.returncode == 0
        assert "000001.json" in done.stderr and "it is left out" in done.stderr
        assert len(done.stderr.splitlines()) == 1 and "\x1b" not in done.stderr
        assert "id2" in done.stdout and "id1" not in done.stdout


def test_what_is_dropped_is_in_the_folder_and_nothing_else(run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside.params"
    records = run.records()
    for one in records:
        run.entry(one.subject).weights.touch()
    outside.touch()
    run.drop_parameters(records[:2])
    kept = sorted(path.name for path in run.path.glob("*/*.params"))
    assert kept == ["000001.params", "000002.params"]
    assert outside.exists()


def test_candidates_are_read_by_number(run: Run) -> None:
    known = Known(run)
    assert [r.subject.trial for r in known.candidates([2, 0, 99])] == [0, 2]
    assert [r.subject.trial for r in known.candidates([1])] == [0, 1, 2]


def test_the_name_of_a_run_folder_is_no_markup(run: Run, tmp_path: Path) -> None:
    for name in ("b[\u200b", "b[red]", "[b]", "b]\x1b[31m"):
        run.path.rename(tmp_path / name)
        run = Run(tmp_path / name)
        done = run_cli("leaderboard", run.path)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout
        assert name.replace("\x1b", r"\x1b") in done.stdout.replace("\n", "")
    inner = tmp_path / "b["
    inner.mkdir()
    run.path.rename(inner / "]")  # the path holds "[/]", which closes nothing
    done = run_cli("leaderboard", inner / "]")
    assert done.returncode == 0, done.stderr
    assert "b[/]" in done.stdout.replace("\n", "")


PLACES = ("lock", "sampling.lock", "workers", "workers/one", "logs")
PLACES += ("logs/search.log", "trials", "baselines", "trials/000007.checkpoint")


@pytest.mark.parametrize("what", ["link", "dangling link", "fifo"])
@pytest.mark.parametrize("place", PLACES)
def test_a_search_writes_through_no_link_and_waits_for_no_fifo(
    table_run: Path, tiny_space: Path, tmp_path: Path, place: str, what: str
) -> None:
    """It would empty, append to or delete files that lie elsewhere."""
    path, outside = tmp_path / "run", tmp_path / "outside"
    shutil.copytree(table_run, path)
    outside.mkdir()
    (outside / ".x.tmp").write_text("keep")
    there = path / place
    if there.is_dir():
        shutil.rmtree(there)
    there.parent.mkdir(exist_ok=True)
    there.unlink(missing_ok=True)
    if what == "fifo":
        os.mkfifo(there)
    else:
        target = outside if "." not in there.name else outside / ".x.tmp"
        there.symlink_to(target if what == "link" else outside / "new")
    for said in (lambda: Run(path).config(), lambda: Run(path).lock().__enter__()):
        with pytest.raises(InputError, match=rf"{re.escape(place)}: a .* is expected, this is a "):
            said()
    assert os.listdir(outside) == [".x.tmp"]
    assert (outside / ".x.tmp").read_text() == "keep"


def test_a_new_search_empties_no_file_through_a_link(tiny_space: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "secret").write_text("keep")
    (tmp_path / "run" / "lock").symlink_to(tmp_path / "secret")
    done = run_cli("search", tiny_space, "--run", tmp_path / "run", "--device", "cpu")
    assert done.returncode == 2
    assert done.stderr.endswith("lock: a regular file is expected, this is a link\n")
    assert (tmp_path / "secret").read_text() == "keep"


def test_folders_in_the_place_of_files_are_left_alone(run: Run) -> None:
    one = run.records()[1]
    run.entry(one.subject).weights.mkdir()
    (run.path / "trials" / ".a.json.1.tmp").mkdir()
    run.drop_parameters([one])
    run.sweep(alone=True)
    assert run.entry(one.subject).weights.is_dir()


def test_setting_aside_replaces_nothing(run: Run) -> None:
    path = run.trial(1).record_path
    for number, text in enumerate(("first", "second", "third")):
        path.write_text(text)
        assert len(run.set_aside_damaged()) == 1
        aside = path.with_name(f"{path.name}.damaged{number or ''}")
        assert aside.read_text() == text


def test_a_folder_of_records_that_cannot_be_listed_is_not_empty(run: Run) -> None:
    folder = run.path / "trials"
    folder.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:  # whom no permission stops
            os.seteuid(65534)
        with pytest.raises(PermissionError):
            run.records()
    finally:
        os.seteuid(user)
        folder.chmod(0o755)
    assert len(run.records()) == 4
