"""The search by its real command line: what it keeps and shows, what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from helpers.commands import SEARCH, Options, run_cli
from helpers.runs import results, rows

from nas_incep.results.run import Run


def test_the_run_holds_every_trial_and_its_parameters(run_by_engine: Path) -> None:
    records = Run(run_by_engine).records()
    assert [r.subject.kind for r in records].count("baseline") == 1
    complete = [r for r in records if not r.subject.is_baseline and r.outcome.state == "complete"]
    assert len(complete) == 4
    for record in records:
        if record.outcome.state == "complete":
            path = Run(run_by_engine).entry(record.subject).weights
            assert path.stat().st_size > 4 * (record.outcome.parameters or 0)
            assert [point.epoch for point in record.outcome.curve] == [1, 2]
            assert all(point.images == 320 for point in record.outcome.curve)
        assert record.data_fingerprint == Run(run_by_engine).config().data.fingerprint


def test_the_reference_is_tried_first(run_by_engine: Path) -> None:
    first = next(r for r in Run(run_by_engine).records() if r.subject.trial == 0)
    architecture = first.subject.architecture
    assert architecture is not None
    assert [list(b) for b in architecture.blocks] == [[1, 16, 8, 16, 8, 8, 16]]
    assert architecture.batch_norm


def test_no_network_is_trained_twice(run_by_engine: Path) -> None:
    names = [r.subject.name for r in Run(run_by_engine).records() if r.outcome.curve]
    assert len(names) == len(set(names))


def test_the_leaderboard_ranks_baseline_and_candidates_together(run_by_engine: Path) -> None:
    found = rows(run_by_engine)
    assert sorted(row["kind"] for row in found) == ["baseline"] + ["candidate"] * 4
    accuracies = [row["val_accuracy"] for row in found]
    assert accuracies == sorted(accuracies, reverse=True)
    table = run_cli("leaderboard", run_by_engine).stdout
    assert "cifar_resnet20_v1" in table
    assert "4 complete" in table


def test_the_best_is_exported_and_verified(run_by_engine: Path, tmp_path: Path) -> None:
    done = run_cli("export", run_by_engine, tmp_path / "best")
    assert done.returncode == 0, done.stderr
    best = next(row for row in rows(run_by_engine) if row["kind"] == "candidate")
    assert f"{best['val_accuracy']:.4f}" in done.stdout
    engine = Run(run_by_engine).records()[0].engine
    done = run_cli("verify", tmp_path / "best")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{best['val_accuracy']:.6f} by {engine}, " in done.stdout


def test_the_same_command_gives_the_same_figures(
    table_run: Path, tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    arguments = ("--run", again, "--baseline", "cifar_resnet20_v1", *SEARCH, *table)
    # In two steps, so that going on is held to the same figures as one go.
    assert run_cli("search", tiny_space, "--trials", 2, *arguments).returncode == 0
    done = run_cli("search", tiny_space, "--trials", 4, *arguments)
    assert done.returncode == 0, done.stderr
    assert "resuming; trials done: 2 of 4" in done.stderr
    assert results(again) == results(table_run)


def test_a_search_says_how_to_export_its_best(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "a run"
    options = ("--baseline", "none", *SEARCH, *table)
    done = run_cli("search", tiny_space, "--trials", 1, "--run", run, *options)
    assert done.returncode == 0, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last == f"The best network as a bundle: nas-incep export '{run}' '{run / 'best'}'"
    none = run_cli("search", tiny_space, "--trials", 0, "--run", tmp_path / "b", *options)
    assert none.returncode == 0, none.stderr
    assert "bundle" not in none.stderr


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


def test_another_configuration_is_refused_with_the_differences(
    table_run: Path, tiny_space: Path, table: Options
) -> None:
    done = run_cli(
        "search",
        tiny_space,
        "--trials",
        4,
        "--run",
        table_run,
        "--baseline",
        "cifar_resnet20_v1",
        *SEARCH,
        *table,
        "--epochs",
        3,
        "--seed",
        7,
    )
    assert done.returncode == 2
    assert "recipe.epochs was 2, now 3" in done.stderr
    assert "seed was 0, now 7" in done.stderr


def test_only_the_best_keep_their_parameters(
    tiny_space: Path, table: Options, tmp_path: Path
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
        *table,
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


def test_pruned_trainings_rank_below_complete_ones(
    tiny_space: Path, table: Options, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ("search", tiny_space, "--run", run, "--baseline", "none", *SEARCH, *table)
    command = (*command, "--pruner", "sha", "--reduction", 2, "--trials")
    done = run_cli(*command, 6, "--prune-by", "validation")
    assert done.returncode == 0, done.stderr
    states = [row["state"] for row in rows(run)]
    assert "pruned" in states
    assert states == sorted(states)  # complete, then pruned
    assert all(row["epochs"] == 1 for row in rows(run) if row["state"] == "pruned")
    assert "pruning saved" in done.stdout
    # A run that has begun keeps what it compares, where a new one would take the default.
    assert run_cli(*command, 7).returncode == 0
    done = run_cli(*command, 7, "--prune-by", "train")
    assert done.returncode == 2
    assert "pruning.by was 'validation', now 'train'" in done.stderr


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
