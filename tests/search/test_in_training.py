"""What is in training, as another process sees it."""

from __future__ import annotations

from pathlib import Path

from helpers.commands import Options, command, started, wait_for, workers_of
from helpers.studies import until

from nas_incep.results.run import Run
from nas_incep.search.in_training import InTraining, in_training, sentences
from nas_incep.search.liveness import present
from nas_incep.study.locks import sampling_lock


def test_the_epochs_of_all_workers_are_seen_while_they_live(
    tiny_space: Path, slow_table: Options, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    options = ("--workers", 2, "--trials", 4, "--epochs", 20, *slow_table)
    with started(command(tiny_space, run.path, *options)) as process:
        wait_for(process, r"trial \d \[Epoch 2\]")
        until(lambda: len([t for t in in_training(run) if t.epoch]) == 2)
        seen = in_training(run)
        assert {training.label for training in seen} == {"trial 0", "trial 1"}
        assert all(1 <= t.epoch <= 20 == t.epochs and t.accuracy for t in seen)
        assert len(sentences(seen, most=1)) == 2
        children = workers_of(process)
        process.kill()  # its workers end by themselves
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    assert list(run.workers_path.glob("[!.]*"))
    assert in_training(run) == []


def test_only_a_workers_own_lines_count(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.logs_path.mkdir()
    start = "2026-01-01 00:00:00,000 INFO nas_incep.search.in_training: "
    lines = [
        f"{start}finals 2 of trial 7: 0ddd43ac0ff1 begins, 4 epochs",
        f"{start}finals 2 of trial 7: epoch 3 of 4, val 0.5000",
        f"{start}trial \x1b[31m: epoch 3 of 4, val 0.5000",
        "nas_incep.search.trainer: trial 8: FAILED: INFO epoch 1 of 4, val 0.5000",
        f"{start}trial 9: epoch 3 of 99999999999999999999, val 0.5000",
    ]
    lock = sampling_lock(run.path, run.study_path)
    with present(run.workers_path, "node-a-1-00", False, lock):
        assert in_training(run) == []  # it has written nothing yet
        log = run.logs_path / "node-a-1-00.log"
        log.write_text("\n".join(lines))
        (only,) = in_training(run)
        assert only == InTraining("finals 2 of trial 7", 3, 4, 0.5, "node-a")
        log.write_text("\n".join([*lines, f"{start}finals 2 of trial 7: out of memory "]))
        assert in_training(run) == []
    two = [only, InTraining("baseline inception3@75", 0, 4, None, "node-b")]
    assert sentences(two) == [
        "finals 2 of trial 7: epoch 3 of 4, val 0.5000, on node-a",
        "baseline inception3@75: epoch 0 of 4, on node-b",
    ]
