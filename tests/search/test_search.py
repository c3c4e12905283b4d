"""The search by its real command line: what it keeps, what stops it, what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.commands import SEARCH, TINY_SPACE, run_cli
from helpers.runs import results, rows

from nas_incep.results.run import Run


def test_the_run_holds_every_trial_and_its_parameters(finished_run: Path) -> None:
    records = Run(finished_run).records()
    assert [r.subject.kind for r in records].count("baseline") == 1
    complete = [r for r in records if not r.subject.is_baseline and r.outcome.state == "complete"]
    assert len(complete) == 4
    for record in records:
        if record.outcome.state == "complete":
            path = Run(finished_run).entry(record.subject).weights
            assert path.stat().st_size > 4 * (record.outcome.parameters or 0)
            assert [point.epoch for point in record.outcome.curve] == [1, 2]
            assert all(point.images == 320 for point in record.outcome.curve)
        assert record.data_fingerprint == Run(finished_run).config().data.fingerprint


def test_the_reference_is_tried_first(finished_run: Path) -> None:
    first = next(r for r in Run(finished_run).records() if r.subject.trial == 0)
    architecture = first.subject.architecture
    assert architecture is not None
    assert [list(b) for b in architecture.blocks] == [[1, 16, 8, 16, 8, 8, 16]]
    assert architecture.batch_norm


def test_no_network_is_trained_twice(finished_run: Path) -> None:
    names = [r.subject.name for r in Run(finished_run).records() if r.outcome.curve]
    assert len(names) == len(set(names))


def test_the_leaderboard_ranks_baseline_and_candidates_together(finished_run: Path) -> None:
    found = rows(finished_run)
    assert sorted(row["kind"] for row in found) == ["baseline"] + ["candidate"] * 4
    accuracies = [row["val_accuracy"] for row in found]
    assert accuracies == sorted(accuracies, reverse=True)
    table = run_cli("leaderboard", finished_run).stdout
    assert "cifar_resnet20_v1" in table
    assert "4 complete" in table


def test_the_same_command_gives_the_same_figures(
    finished_run: Path, tiny_space: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    arguments = ("--run", again, "--baseline", "cifar_resnet20_v1", *SEARCH)
    # In two steps, so that going on is held to the same figures as one go.
    assert run_cli("search", tiny_space, "--trials", 2, *arguments).returncode == 0
    done = run_cli("search", tiny_space, "--trials", 4, *arguments)
    assert done.returncode == 0, done.stderr
    assert "2 of 4 trials are done" in done.stderr
    assert results(again) == results(finished_run)


def test_plain_log_lines_have_gluoncvs_form(tiny_space: Path, tmp_path: Path) -> None:
    done = run_cli(
        "search", tiny_space, "--trials", 1, "--run", tmp_path / "r", "--baseline", "none", *SEARCH
    )
    pattern = r"\[Epoch 2\] train=\d\.\d+ val=\d\.\d+ loss=\d+\.\d+ time: \d+\.\d+"
    assert re.search(pattern, done.stderr), done.stderr


def test_a_second_search_in_the_same_folder_is_refused(tiny_space: Path, tmp_path: Path) -> None:
    run = Run(tmp_path)
    with run.lock():
        other = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from pathlib import Path; "
                "from nas_incep.results.run import Run; Run(Path(sys.argv[1])).lock().__enter__()",
                tmp_path,
            ],
            capture_output=True,
            text=True,
        )
    assert "another process is searching here" in other.stderr


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_search_goes_on_to_the_same_end(
    end: signal.Signals, finished_run: Path, tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "nas_incep", "search", str(tiny_space), "--trials", "4"]
    command += ["--run", str(run), "--baseline", "cifar_resnet20_v1", *SEARCH]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # The tests may run in the background of a shell, where SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # Stop it in the middle of the third training.
    assert process.stderr
    for line in process.stderr:
        if line.startswith("trial 1 [Epoch 1]"):
            break
    process.send_signal(end)
    rest = process.communicate(timeout=60)[1]
    if end == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert "the same command goes on" in rest
        assert "Traceback" not in rest
    assert len(Run(run).records()) == 2  # the baseline and trial 0
    checkpoint = json.loads((run / "trials/000001.checkpoint/curve.json").read_text())
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert results(run) == results(finished_run)
    # The epoch that was there was not trained again: it still has the first process's time.
    record = next(r for r in Run(run).records() if r.subject.trial == 1)
    assert record.outcome.curve[0].train_seconds == checkpoint["curve"][0]["train_seconds"]
    assert not list(run.glob("trials/*.checkpoint"))


def test_a_damaged_checkpoint_is_begun_anew(
    finished_run: Path, tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    folder = run / "trials" / "000000.checkpoint"
    command = ["search", tiny_space, "--trials", 1, "--run", run, "--baseline", "none", *SEARCH]
    # Left by a search that ran out of time in its first training's second epoch.
    assert run_cli(*command, "--timeout", 0.0001).returncode == 0
    folder.mkdir(parents=True)
    (folder / "1.params").write_bytes(b"half")
    (folder / "curve.json").write_text("{")
    done = run_cli(*command)
    assert done.returncode == 0, done.stderr
    whole = [result for result in results(finished_run) if result[0] == 0]
    assert results(run) == whole


def test_the_time_limit_ends_a_search_cleanly(tiny_space: Path, tmp_path: Path) -> None:
    command = ["search", tiny_space, "--trials", 2, "--run", tmp_path / "r", "--baseline", "none"]
    done = run_cli(*command, *SEARCH, "--timeout", 0.0001)
    assert done.returncode == 0, done.stderr
    assert "the same command goes on" in done.stderr
    assert rows(tmp_path / "r") == []
    done = run_cli(*command, *SEARCH)
    assert len(rows(tmp_path / "r")) == 2, done.stderr


def test_a_training_out_of_time_is_an_outcome(tiny_space: Path, tmp_path: Path) -> None:
    command = ["search", tiny_space, "--trials", 2, "--run", tmp_path / "r", "--baseline", "none"]
    done = run_cli(*command, *SEARCH, "--trial-timeout", 0.0001)
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in rows(tmp_path / "r")] == ["timed out"] * 2
    assert "2 timed out" in done.stdout


def test_only_the_best_keep_their_parameters(
    finished_run: Path, tiny_space: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = run_cli(
        "search",
        tiny_space,
        "--trials",
        4,
        "--run",
        run,
        "--baseline",
        "none",
        "--keep",
        2,
        *SEARCH,
    )
    assert done.returncode == 0, done.stderr
    best = [row["trial"] for row in rows(run) if row["state"] == "complete"][:2]
    kept = sorted(path.stem for path in run.glob("trials/*.params"))
    assert kept == sorted(f"{trial:06d}" for trial in best)
    # What is kept can be exported, the rest says why not.
    assert run_cli("export", run, tmp_path / "b", "--rank", 2).returncode == 0
    done = run_cli("export", run, tmp_path / "c", "--rank", 3)
    assert done.returncode == 2
    assert "--keep" in done.stderr


def test_pruned_trainings_rank_below_complete_ones(tiny_space: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = run_cli(
        "search", tiny_space, "--trials", 6, "--run", run, "--baseline", "none", *SEARCH,
        "--pruner", "sha", "--reduction", 2,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    states = [row["state"] for row in rows(run)]
    assert "pruned" in states
    assert states == sorted(states)  # complete, then pruned
    assert all(row["epochs"] == 1 for row in rows(run) if row["state"] == "pruned")
    assert "pruning saved" in done.stdout


def test_a_torn_journal_and_an_unheard_record_are_mended(
    finished_run: Path, tiny_space: Path, tmp_path: Path
) -> None:
    """A crash after the record and inside the telling: nothing is trained again."""
    import shutil

    run = Run(tmp_path / "run")
    shutil.copytree(finished_run, run.path)
    journal = run.study_path.read_bytes()
    lines = journal.splitlines(keepends=True)
    # The last line ends the last trial; leave half of it.
    run.study_path.write_bytes(b"".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])
    before = {path: path.stat().st_mtime_ns for path in run.path.glob("trials/*")}
    arguments = ("--run", run.path, "--baseline", "cifar_resnet20_v1", *SEARCH)
    done = run_cli("search", tiny_space, "--trials", 4, *arguments)
    assert done.returncode == 0, done.stderr
    assert results(run.path) == results(finished_run)
    assert {path: path.stat().st_mtime_ns for path in run.path.glob("trials/*")} == before
    # And the study has heard of it: it goes on with a new trial.
    done = run_cli("search", tiny_space, "--trials", 5, *arguments)
    assert done.returncode == 0, done.stderr
    assert len(results(run.path)) > len(results(finished_run))


def test_another_configuration_is_refused_with_the_differences(
    finished_run: Path, tiny_space: Path
) -> None:
    done = run_cli(
        "search",
        tiny_space,
        "--trials",
        4,
        "--run",
        finished_run,
        *SEARCH,
        "--epochs",
        3,
        "--seed",
        7,
    )
    assert done.returncode == 2
    assert "recipe.epochs was 2, now 3" in done.stderr
    assert "seed was 0, now 7" in done.stderr


def test_an_exhausted_space_ends_the_search_and_says_so(tmp_path: Path) -> None:
    space = tmp_path / "two.toml"
    space.write_text(TINY_SPACE.replace("[8, 16]", "16"))  # only batch_norm is left to choose
    run = tmp_path / "run"
    done = run_cli(
        "search",
        space,
        "--trials",
        9,
        "--run",
        run,
        "--baseline",
        "none",
        "--sampler",
        "random",
        *SEARCH,
    )
    assert done.returncode == 0, done.stderr
    assert "all 2 architectures were tried" in done.stderr
    trained = [row["name"] for row in rows(run)]
    assert len(trained) == 2


def test_over_budget_samples_are_not_trained(tmp_path: Path, tiny_space: Path) -> None:
    run = tmp_path / "run"
    limit = 9000
    done = run_cli(
        "search",
        tiny_space,
        "--trials",
        2,
        "--run",
        run,
        "--baseline",
        "none",
        "--max-params",
        limit,
        *SEARCH,
    )
    assert done.returncode == 0, done.stderr
    outcomes = [record.outcome for record in Run(run).records()]
    assert all((o.parameters or 0) <= limit for o in outcomes if o.curve)
    over = [o for o in outcomes if o.state == "over budget"]
    assert over and all((o.parameters or 0) > limit and not o.curve for o in over)
    assert f"max_params is {limit:,}" in over[0].reason


def test_a_diverging_recipe_is_an_outcome_and_not_the_end(tmp_path: Path, tiny_space: Path) -> None:
    run = tmp_path / "run"
    done = run_cli(
        "search",
        tiny_space,
        "--trials",
        2,
        "--run",
        run,
        "--baseline",
        "none",
        *SEARCH,
        "--lr",
        "1e30",
    )
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in rows(run)] == ["diverged", "diverged"]
    done = run_cli("export", run, tmp_path / "best")
    assert done.returncode == 2
    assert "no complete candidate" in done.stderr


def test_a_full_disk_ends_the_search_in_one_sentence(tmp_path: Path, tiny_space: Path) -> None:
    """A limit on the size of files stands in for a full disk: the write fails in the same place."""
    run = tmp_path / "run"
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000)); "
        "sys.argv[0] = 'nas-incep'; from nas_incep.cli import main; main()"
    )
    arguments = ["search", str(tiny_space), "--trials", "1", "--run", str(run)]
    arguments += ["--baseline", "none", *SEARCH]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert not [path for path in run.glob("trials/**/*") if path.is_file()]
    done = run_cli(*arguments)  # the same command, the disk mended
    assert done.returncode == 0, done.stderr
    assert len(rows(run)) == 1


def test_progress_of_all_workers_shows_in_a_terminal(tiny_space: Path, tmp_path: Path) -> None:
    """The live display in a pseudo-terminal: bars while it runs, one line for each trial."""
    import pty

    main, other = pty.openpty()
    command = [sys.executable, "-m", "nas_incep", "search", str(tiny_space), "--trials", "4"]
    command += ["--run", str(tmp_path / "r"), "--baseline", "none", *SEARCH, "--workers", "2"]
    command += ["--epochs", "20"]  # enough that both are at it at the same time
    process = subprocess.Popen(
        command, stderr=other, stdout=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm"}
    )
    os.close(other)
    shown = b""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            piece = os.read(main, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(main)
    assert process.wait(timeout=30) == 0
    text = shown.decode(errors="replace")
    assert "search" in text
    assert all(f"trial {trial} complete" in text for trial in (0, 1))
    # Each frame begins with the bar of the search; in some of them two trainings have one.
    bars = [
        set(re.findall(r"trial (\d+) (?:\x1b\[[\d;]*m)*[━╸╺]", frame))
        for frame in text.split("search ")
    ]
    assert max(map(len, bars)) == 2


def test_a_network_that_blows_up_in_its_last_step_is_an_outcome(
    tiny_space: Path, tmp_path: Path
) -> None:
    """The training loss is still finite; the validation loss is not, which JSON cannot say."""
    run = tmp_path / "run"
    done = run_cli(
        "search", tiny_space, "--trials", 2, "--run", run, "--baseline", "none", "--epochs", 1,
        "--recipe", "notebook", "--optimizer", "sgd", "--lr", 1e20, "--batch-size", 32,
        "--images-per-epoch", 32,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {row["state"] for row in rows(run)} <= {"diverged", "complete"}
    assert "diverged" in done.stdout


def test_a_space_with_nothing_for_the_images_is_refused_before_anything(tmp_path: Path) -> None:
    done = run_cli("search", "nin_small", "--dataset", "digits", "--run", tmp_path / "r")
    assert done.returncode == 2
    assert "min_macs is 4,000,000" in done.stderr
    assert not (tmp_path / "r").exists()


def test_a_baseline_that_ran_out_of_time_is_tried_again(tiny_space: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ["search", tiny_space, "--trials", 0, "--run", run, *SEARCH]
    command += ["--baseline", "cifar_resnet20_v1"]
    assert run_cli(*command, "--trial-timeout", 0.0001).returncode == 0
    assert [row["state"] for row in rows(run)] == ["timed out"]
    assert run_cli(*command).returncode == 0
    assert [row["state"] for row in rows(run)] == ["complete"]


def test_a_search_with_a_pruner_survives_kills_at_its_rungs(
    tiny_space: Path, tmp_path: Path
) -> None:
    """What is pruned does not depend on where the search was stopped."""
    from helpers.commands import KILLER

    options = ["--trials", "6", "--baseline", "none", *SEARCH, "--pruner", "sha"]
    options += ["--reduction", "2", "--sampler", "random", "--workers", "0"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run_cli("search", tiny_space, "--run", whole, *options).returncode == 0
    command = ["search", str(tiny_space), "--run", str(cut), *options]
    kills = 0
    for n in (17, 18, 19, 20, 21):
        done = subprocess.run(
            [sys.executable, "-c", KILLER, str(n), "after", *command], capture_output=True
        )
        kills += done.returncode == -signal.SIGKILL
    assert kills >= 2
    assert run_cli(*command).returncode == 0
    assert results(cut) == results(whole)
    assert "pruned" in {result[2] for result in results(whole)}


def test_sigterm_stops_a_search_started_in_the_background(tiny_space: Path, tmp_path: Path) -> None:
    """A shell without job control starts its background commands with SIGINT ignored."""
    command = [sys.executable, "-m", "nas_incep", "search", str(tiny_space), "--trials", "40"]
    command += ["--run", str(tmp_path / "r"), "--baseline", "none", *SEARCH]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if "Epoch 1" in line:
                break
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 130
