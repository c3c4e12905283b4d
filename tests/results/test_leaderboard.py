"""The order of the ranking and its three forms."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import Any

from helpers.records import changed, record
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nas_incep.architecture import NOTEBOOK
from nas_incep.records import (
    COMPLETE,
    KILLED,
    STATES,
    UNTRAINED,
    TrialRecord,
    from_json,
)
from nas_incep.results import leaderboard
from nas_incep.results.objectives import pareto_front
from nas_incep.results.tables import to_table

KEYS = [
    *("rank", "kind", "trial", "name", "blocks", "val_accuracy", "epochs", "parameters", "macs"),
    *("latency_ms", "train_seconds", "images_per_second", "engine", "state", "pareto"),
    *("mean_accuracy", "mean_epochs", "seeds", "standard_error", "rank_low", "rank_high"),
    *("tied_with_best", "tie_group", "chosen_by", "reported_by"),
]
COSTS = ("accuracy", "macs")


RECORDS = st.lists(
    st.tuples(st.sampled_from(STATES), st.lists(st.floats(0, 1), min_size=1, max_size=3)),
    max_size=12,
).map(lambda items: [record(n, state, *acc) for n, (state, acc) in enumerate(items)])


@given(RECORDS)
def test_complete_ones_come_first_and_fall_in_accuracy(records: list[TrialRecord]) -> None:
    ranked = leaderboard.rank(records)
    complete = [r for r in ranked if r.outcome.state == COMPLETE]
    assert ranked[: len(complete)] == complete
    accuracies = [r.val_accuracy or 0 for r in complete]
    assert accuracies == sorted(accuracies, reverse=True)


@given(RECORDS)
def test_every_trained_record_has_one_row_and_its_own_rank(records: list[TrialRecord]) -> None:
    rows = leaderboard.rows(records)
    trained = {r.subject.trial for r in records if r.outcome.state not in (*UNTRAINED, KILLED)}
    assert [row["rank"] for row in rows] == list(range(1, len(trained) + 1))
    assert {row["trial"] for row in rows} == trained


@given(RECORDS, st.randoms())
def test_the_order_of_the_records_does_not_matter(records: list[TrialRecord], random) -> None:
    shuffled = list(records)
    random.shuffle(shuffled)
    assert leaderboard.rank(shuffled) == leaderboard.rank(records)


def test_the_last_epoch_counts_not_the_best() -> None:
    fading, steady = record(0, COMPLETE, 0.9, 0.4), record(1, COMPLETE, 0.3, 0.5)
    assert [r.subject.trial for r in leaderboard.rank([fading, steady])] == [1, 0]


def test_a_partial_accuracy_never_beats_a_complete_one() -> None:
    pruned, weak = record(0, "diverged", 0.99), record(1, COMPLETE, 0.1, 0.1)
    assert [r.subject.trial for r in leaderboard.rank([pruned, weak])] == [1, 0]


def test_a_killed_trial_is_ranked_once_it_was_tried_again() -> None:
    first = record(0, KILLED, 0.5)
    again = record(1, KILLED, 0.5)
    again = dataclasses.replace(again, subject=dataclasses.replace(again.subject, retry_of=0))
    assert leaderboard.rank([first, again]) == [again]
    assert "2 killed" in leaderboard.summary([first, again])


# Several objectives.


def with_macs(trial: int | None, accuracy: float, macs: int, **changes: Any) -> TrialRecord:
    return changed(record(trial, COMPLETE, accuracy), macs=macs, **changes)


# 0 and 2 are on the front; 1 is more accurate than 2, but 0 beats it in both.
FRONT = [
    with_macs(0, 0.9, 50),
    with_macs(1, 0.8, 60),
    with_macs(2, 0.7, 10),
    record(3, "pruned", 0.95),
]


def table(records: list[TrialRecord], objectives: tuple[str, ...]) -> str:
    console = Console(width=200, file=io.StringIO())
    with console.capture() as capture:
        console.print(to_table(leaderboard.rows(records, objectives), 200))
    return capture.get()


def test_the_front_comes_first_by_accuracy_then_the_others_as_ever() -> None:
    assert [r.subject.trial for r in leaderboard.rank(FRONT, COSTS)] == [0, 2, 1, 3]
    assert [r.subject.trial for r in leaderboard.rank(FRONT)] == [0, 1, 2, 3]
    rows = leaderboard.rows(FRONT, COSTS)
    assert [row["pareto"] for row in rows] == [True, True, False, False]


@given(RECORDS, st.data())
def test_several_objectives_only_move_the_front_up(
    records: list[TrialRecord], data: st.DataObject
) -> None:
    costs = [data.draw(st.integers(1, 5)) for _ in records]
    records = [changed(r, macs=macs) for r, macs in zip(records, costs)]
    front = pareto_front(records, COSTS)
    plain = leaderboard.rank(records)
    moved = [r for r in plain if r in front] + [r for r in plain if r not in front]
    assert leaderboard.rank(records, COSTS) == moved


def test_csv_and_json_say_who_is_on_the_front() -> None:
    rows = list(csv.DictReader(io.StringIO(leaderboard.csv_of(leaderboard.rows(FRONT, COSTS)))))
    assert [row["pareto"] for row in rows] == ["true", "true", "false", "false"]
    assert list(rows[0]) == KEYS
    objects = leaderboard.rows(FRONT, COSTS)
    assert [row["pareto"] for row in objects] == [True, True, False, False]
    # With one objective there is no front to be on.
    assert [row["pareto"] for row in leaderboard.rows(FRONT)] == [None] * 4
    rows = list(csv.DictReader(io.StringIO(leaderboard.csv_of(leaderboard.rows(FRONT)))))
    assert [row["pareto"] for row in rows] == [""] * 4


def test_the_table_marks_the_front_where_there_is_one() -> None:
    text = table(FRONT, COSTS)
    assert "front" in text
    assert text.count("*") == 2
    text = table(FRONT, ("accuracy",))
    assert "front" not in text
    assert "*" not in text


def test_the_table_shows_latencies_where_there_are_some() -> None:
    slow = with_macs(4, 0.6, 5, latency_ms=12.3456)
    text = table([*FRONT, slow], ("accuracy",))
    assert "latency ms" in text
    assert "12.35" in text
    assert "latency" not in table(FRONT, COSTS)
    assert leaderboard.rows([slow])[0]["latency_ms"] == 12.3456


def test_the_summary_tells_how_many_are_on_the_front() -> None:
    summary = leaderboard.summary(FRONT, COSTS)
    assert summary.startswith(
        "candidates: 3 complete, 1 pruned; 2 on the front of accuracy and macs; pruning saved"
    )
    assert "front" not in leaderboard.summary(FRONT)
    both = [*FRONT, with_macs(None, 0.95, 70)]
    assert "; 3 on the front of accuracy and macs (1 baseline)" in leaderboard.summary(both, COSTS)


# The three forms.


def test_json_has_exactly_the_documented_keys() -> None:
    rows = leaderboard.rows([record(0, COMPLETE, 0.5), record(None, COMPLETE, 0.7)])
    assert [list(row) for row in rows] == [KEYS, KEYS]
    baseline, candidate = rows
    assert (baseline["kind"], baseline["trial"], baseline["blocks"]) == ("baseline", None, None)
    assert candidate["blocks"] == [list(block) for block in NOTEBOOK.blocks]
    assert candidate["images_per_second"] == 50.0  # 100 images in 2 s of training


def test_csv_has_the_rows_of_the_json() -> None:
    records = [record(0, COMPLETE, 0.5), record(1, "failed"), record(None, COMPLETE, 0.7)]
    rows = list(csv.DictReader(io.StringIO(leaderboard.csv_of(leaderboard.rows(records)))))
    assert [row["name"] for row in rows] == [row["name"] for row in leaderboard.rows(records)]
    assert list(rows[0]) == KEYS
    assert rows[2]["val_accuracy"] == ""  # the failed one


def test_an_empty_run_has_an_empty_ranking() -> None:
    assert leaderboard.rows([]) == []
    assert leaderboard.csv_of(leaderboard.rows([])) == ",".join(KEYS)
    assert leaderboard.summary([]) == "candidates: none yet"


def test_the_summary_counts_every_state() -> None:
    records = [record(n, state, 0.5) for n, state in enumerate((*STATES, COMPLETE))]
    summary = leaderboard.summary(records)
    assert "2 complete" in summary
    assert all(f"1 {state}" in summary for state in STATES if state != COMPLETE)


def test_the_summary_tells_what_pruning_saved() -> None:
    records = [record(0, COMPLETE, 0.1, 0.2, 0.3), record(1, "pruned", 0.1)]
    assert "pruning saved 200 of 600 image passes" in leaderboard.summary(records)
    assert "pruning" not in leaderboard.summary(records[:1])


@given(RECORDS)
def test_records_survive_their_json(records: list[TrialRecord]) -> None:
    for item in records:
        assert from_json(json.loads(json.dumps(item.to_json())), "here") == item


def at(trial: int, **environment: Any) -> TrialRecord:
    return dataclasses.replace(record(trial, COMPLETE, 0.5), environment=environment)


def test_each_place_is_said_once() -> None:
    one = at(0, device="cpu", threads=1, precision="bfloat16", versions={})
    two = at(1, device="cpu", threads=1, precision="float32", versions={"python": "3.11"})
    old = at(2, device="cpu", threads=1)  # from before there was a choice of precisions
    assert leaderboard.surroundings([old, two]) == "cpu, 1 thread"
    assert leaderboard.surroundings([one]) == "cpu, 1 thread, bfloat16"
    assert leaderboard.surroundings([one, two]) == "cpu, 1 thread, float32 or bfloat16"
    other = at(3, device="gpu:0", threads=8, precision="float32")
    assert leaderboard.surroundings([other, two]) == "cpu, 1 thread or gpu:0, 8 threads"


def test_every_row_says_which_engine_trained_it() -> None:
    one = dataclasses.replace(record(0, COMPLETE, 0.5), engine="torch")
    rows = leaderboard.rows([one, record(1, COMPLETE, 0.4)])
    assert [row["engine"] for row in rows] == ["torch", "gluon"]
