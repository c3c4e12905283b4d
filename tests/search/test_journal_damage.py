"""Journals that are damaged, lost or another's: the study is made again from the records."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from helpers.commands import TRIALS, Options, command, run_cli
from helpers.runs import counted, results, trained
from optuna.trial import FrozenTrial, TrialState

from nas_incep.results.run import Run
from nas_incep.study.storage import open_storage

MORE = TRIALS + 2  # trials of the search that goes on
Damage = Callable[[Path, random.Random], None]


def edited(change: Callable[[list[bytes], random.Random], list[bytes]]) -> Damage:
    """A damage to the lines of a journal."""

    def damage(journal: Path, rng: random.Random) -> None:
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join(change(lines, rng)))

    return damage


def flip(journal: Path, rng: random.Random) -> None:
    data = bytearray(journal.read_bytes())
    for _ in range(rng.choice((1, 3, 50))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    journal.write_bytes(data)


def change_digit(journal: Path, rng: random.Random) -> None:
    """A line that can still be read, but has another number."""
    data = bytearray(journal.read_bytes())
    digits = [place for place, byte in enumerate(data) if byte in b"0123456789"]
    data[rng.choice(digits)] = rng.choice(b"0123456789")
    journal.write_bytes(data)


def cut(journal: Path, rng: random.Random) -> None:
    data = journal.read_bytes()
    journal.write_bytes(data[: rng.randrange(len(data))])


def replace_by_another(journal: Path, rng: random.Random) -> None:
    journal.unlink()
    study = optuna.create_study(storage=open_storage(journal), study_name="another")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=rng.randrange(12))


def write(journal: Path, data: bytes) -> None:
    journal.write_bytes(data)


def replace_by_a_folder(journal: Path, _: random.Random) -> None:
    journal.unlink()
    journal.mkdir()


def replace_by_a_link(journal: Path, rng: random.Random) -> None:
    journal.rename(journal.with_name("elsewhere"))
    journal.symlink_to(journal.with_name("elsewhere" if rng.random() < 0.5 else "nowhere"))


FOREIGN = (b"\n", b"{}\n", b"[1]\n", b'{"op_code": 6}\n', b'{"op_code": 77, "worker_id": ""}\n')
FOREIGN += (b'{"op_code": 9, "worker_id": "x", "trial_id": 1, "system_attr": 7}\n',)
FOREIGN += (b"\xff\x00\xfe\n", b"[" * 100_000 + b"\n", b'{"op_code": ' + b"9" * 5000 + b"}\n")
DAMAGES: dict[str, Damage] = {
    "flipped bits": flip,
    "changed digit": change_digit,
    "cut": cut,
    "cut at a line": edited(lambda lines, rng: lines[: rng.randrange(len(lines))]),
    "without a line": edited(lambda lines, rng: (lines.pop(rng.randrange(len(lines))), lines)[1]),
    "without lines": edited(lambda lines, rng: [line for line in lines if rng.random() < 0.7]),
    "without the first": edited(lambda lines, rng: lines[rng.randrange(1, 30) :]),
    "repeated line": edited(lambda lines, rng: [*lines, *rng.choices(lines, k=3)]),
    "repeated lines": edited(lambda lines, rng: lines * 2),
    "shuffled": edited(lambda lines, rng: rng.sample(lines, len(lines))),
    "foreign line": edited(
        lambda lines, rng: [x for line in lines for x in (line, *rng.sample(FOREIGN, 1))]
    ),
    "garbage": lambda journal, rng: write(journal, rng.randbytes(rng.randrange(1, 5000))),
    "foreign JSON": lambda journal, rng: write(journal, b'{"a": [1, 2]}'),
    "empty": lambda journal, rng: write(journal, b""),
    "missing": lambda journal, rng: journal.unlink(),
    "a folder": replace_by_a_folder,
    "a link": replace_by_a_link,
    "another's": replace_by_another,
}


def trials_of(run: Path) -> list[FrozenTrial]:
    name = json.loads((run / "run.json").read_text())["study"]["name"]
    return optuna.load_study(study_name=name, storage=open_storage(Run(run).study_path)).trials


def told(trial: FrozenTrial) -> tuple[object, ...]:
    """What a sampler or pruner sees of a trial."""
    distributions = trial.distributions, trial.constraints
    return (
        trial.number,
        trial.state,
        trial.params,
        trial.value,
        trial.intermediate_values,
        distributions,
    )


def search_on(space: Path, run: Path, table: Options, *options: object) -> str:
    """Goes on with a search; what it says."""
    whole = command(space, run, *table, "--trials", MORE, "--workers", 0, *options)
    done = subprocess.run(whole, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_search_goes_on_whatever_happened_to_its_journal(
    damage: str,
    undisturbed: Path,
    tiny_space: Path,
    table: Options,
    tmp_path: Path,
) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(undisturbed, run.path)
    before = {path: path.read_bytes() for path in run.path.glob("trials/*.json")}
    DAMAGES[damage](run.study_path, random.Random(damage))
    said = search_on(tiny_space, run.path, table)
    assert {path: path.read_bytes() for path in before} == before
    assert len(counted(run.path)) == MORE
    trained(run.path)  # none twice
    asides = list(run.path.glob("study.journal.damaged*"))
    assert len(asides) == ("the study is made again from" in said and "kept as" in said)
    # It agrees with the records now.
    assert "again" not in search_on(tiny_space, run.path, table)


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2", "evolution", "grid"])
def test_a_study_that_is_made_again_is_the_same_study(
    sampler: str, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    """To a sampler and a pruner: the search that goes on draws and prunes the same."""
    run, again = tmp_path / "run", tmp_path / "again"
    options = ("--sampler", sampler)
    if sampler != "evolution":
        options += ("--max-params", 8500)  # so that some trials have constraints
    search_on(tiny_space, run, table, *options, "--trials", 5)
    shutil.copytree(run, again)
    Run(again).study_path.unlink()
    said = search_on(tiny_space, again, table, *options, "--trials", 5)
    assert "study.journal: it has no study" in said
    assert "the study is made again from" in said and "and 0 trials without one" in said
    assert [told(trial) for trial in trials_of(again)] == [told(trial) for trial in trials_of(run)]
    for path in (run, again):
        search_on(tiny_space, path, table, *options, "--trials", 7)
    assert results(again) == results(run)


def test_what_was_running_or_to_be_retried_begins_again(
    undisturbed: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(undisturbed, run.path)
    complete = [r.subject.trial or 0 for r in counted(run.path) if r.outcome.state == "complete"]
    killed, left = complete[1], complete[3]
    # One was killed and not retried yet, another had not ended; the journal is lost.
    path = run.trial(killed).record_path
    path.write_text(path.read_text().replace('"complete"', '"killed"'))
    run.trial(left).record_path.unlink()
    run.study_path.unlink()
    ended = len(list(run.path.glob("trials/*.json")))
    said = search_on(tiny_space, run.path, table, "--trials", TRIALS)
    assert f"again from {ended} records, and 1 trial without one will begin anew" in said
    retry = run.trial(left).read().subject
    assert (retry.retry_of, retry.name) == (killed, run.trial(killed).read().subject.name)
    assert len(counted(run.path)) == TRIALS
    whole = {row[0]: row for row in results(undisturbed)}
    kept = [row for row in results(run.path) if row[0] in whole and row[0] not in (killed, left)]
    assert kept == [row for row in whole.values() if row[0] not in (killed, left)]
    states = [trial.state for trial in trials_of(run.path)]
    assert (states[killed], states[left]) == (TrialState.FAIL, TrialState.COMPLETE)


def test_a_worker_leaves_a_lost_study_to_the_search(
    undisturbed: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    Run(run).study_path.unlink()
    done = run_cli("worker", run)
    assert done.returncode == 2
    assert (
        "repeat the search's command, which makes the study again from the records" in done.stderr
    )
    assert trained(run) == trained(undisturbed)


def test_a_record_of_another_run_takes_no_memory(
    undisturbed: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(undisturbed, run.path)
    text = run.trial(0).record_path.read_text()
    far = run.trial(10**12).record_path
    far.write_text(text.replace('"trial": 0', f'"trial": {10**12}'))
    done = subprocess.run(command(tiny_space, run.path, *table), capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{far}: is about trial {10**12}, but there are only" in done.stderr
