"""The study: samplers that never replay, pruners with the rungs they say, a journal that mends."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import optuna
import pytest
from helpers.spaces import SOUND, parse
from optuna.distributions import IntDistribution

from nas_incep.errors import InputError
from nas_incep.records import EpochResult
from nas_incep.results.pruning import PRUNERS, Pruning
from nas_incep.results.samplers import SAMPLERS, check_sampler
from nas_incep.study.evolution import EvolutionSampler
from nas_incep.study.locks import KernelLock
from nas_incep.study.opening import open_study
from nas_incep.study.pruners import make_pruner
from nas_incep.study.samplers import PerTrialSampler
from nas_incep.study.shared import SharedStudy
from nas_incep.study.storage import open_storage

EPOCHS = 9


def opened(
    journal: Path,
    sampler: str,
    enqueue: tuple[dict[str, Any], ...] = (),
    pruning: Pruning = Pruning(),  # noqa: B008
) -> optuna.Study:
    """The study as a search opens it; what an earlier process had in hand comes first."""
    study = open_study(
        open_storage(journal),
        "test",
        ["maximize"],
        PerTrialSampler(sampler, 7),
        make_pruner(pruning, EPOCHS),
        enqueue,
    )
    shared = SharedStudy(study, KernelLock(journal.with_suffix(".sampling")), pruning, EPOCHS)
    for trial in shared.running():
        shared.put_back(trial)
    return study


def draw(trial: optuna.Trial) -> dict[str, Any]:
    """A conditional space, like that of the blocks."""
    depth = trial.suggest_categorical("blocks", (1, 2))
    return {
        "blocks": depth,
        **{f"b{b}.n": trial.suggest_int(f"b{b}.n", 16, 128, step=16) for b in range(depth)},
    }


def value_of(drawn: dict[str, Any]) -> float:
    return sum(value for key, value in drawn.items() if key != "blocks") / 256


def run(journal: Path, sampler: str, trials: int) -> list[dict[str, Any]]:
    """Asks and tells `trials` times through a freshly opened study; everything drawn so far."""
    study = opened(journal, sampler, ({"blocks": 1, "b0.n": 64},))
    for _ in range(trials):
        trial = study.ask()
        study.tell(trial, value_of(draw(trial)))
    return [trial.params for trial in study.get_trials()]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_in_pieces_draws_what_a_whole_one_draws(sampler: str, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", sampler, 24)
    for _ in range(8):
        pieces = run(tmp_path / "pieces", sampler, 3)
    assert pieces == whole
    assert whole[0] == {"blocks": 1, "b0.n": 64}
    # Nothing is replayed: a stream begun anew each time would repeat its first draw.
    assert len({str(drawn) for drawn in whole}) > 12


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("trials", [5, 12])
def test_a_trial_left_unfinished_is_gone_on_with(sampler: str, trials: int, tmp_path: Path) -> None:
    """Wherever it was left: before, in the middle of, or after drawing its parameters."""
    whole = run(tmp_path / "whole", sampler, trials + 1)
    for drawn in range(4):
        journal = tmp_path / f"cut{drawn}"
        run(journal, sampler, trials)
        study = opened(journal, sampler)
        trial = study.ask()
        if drawn >= 1:
            trial.suggest_categorical("blocks", (1, 2))
        if drawn >= 2:
            trial.suggest_int("b0.n", 16, 128, step=16)
        if drawn == 3:
            draw(trial)
        # Here the process ends, and another one goes on.
        assert run(journal, sampler, 1) == whole


def test_grid_meets_every_point_once(tmp_path: Path) -> None:
    drawn = run(tmp_path / "journal", "grid", 8 + 64)
    assert len({str(sorted(parameters.items())) for parameters in drawn}) == 8 + 64


def test_tpe_is_given_random_draws_after_repetitions(tmp_path: Path) -> None:
    """A sampler that repeats itself would otherwise go on for ever."""
    study = opened(tmp_path / "journal", "tpe")
    drawn = []
    for number in range(40):
        trial = study.ask()
        drawn.append(draw(trial))
        if number >= 15:
            trial.set_user_attr("duplicate_of", 0)
        study.tell(trial, value_of(drawn[-1]))
    random = opened(tmp_path / "other", "random")
    expected = [draw(random.ask()) for _ in range(40)]
    assert drawn[18:] == expected[18:]
    assert drawn[10:18] != expected[10:18]


def test_evolution_changes_one_parameter_of_one_of_the_last(tmp_path: Path) -> None:
    study = optuna.create_study(direction="maximize")
    for number in range(60):
        study.sampler = EvolutionSampler(seed=number, population=10, tournament=5)
        trial = study.ask()
        drawn = draw(trial)
        if number >= 10:
            parents = [t.params for t in study.get_trials()[-11:-1]]
            changes = [
                {key for key in drawn if key in parent and drawn[key] != parent[key]}
                for parent in parents
            ]
            assert any(len(changed) == 1 for changed in changes)
        study.tell(trial, value_of(drawn))
    values = [t.value or 0.0 for t in study.get_trials()]
    assert sum(values[-10:]) > sum(values[:10])  # it climbs


@pytest.mark.parametrize(
    ("pruning", "epochs", "rungs"),
    [
        (Pruning(), 9, []),
        (Pruning("sha"), 9, [1, 3]),
        (Pruning("sha", 2, 2), 9, [2, 4, 8]),
        (Pruning("sha", 5), 4, []),
        (Pruning("median", 2), 5, [2, 3, 4]),
    ],
)
def test_rungs_are_the_epochs_before_the_last(
    pruning: Pruning, epochs: int, rungs: list[int]
) -> None:
    assert pruning.rungs(epochs) == rungs


@pytest.mark.parametrize("name", [name for name in PRUNERS if name != "none"])
@pytest.mark.parametrize("first_rung", [1, 2, 5])
@pytest.mark.parametrize("epochs", [1, 2, 3, 9])
def test_a_pruner_without_rungs_says_so(name: str, first_rung: int, epochs: int) -> None:
    pruning = Pruning(name, first_rung)
    decides = any(pruning.rungs(epochs, number) for number in range(100))
    assert bool(pruning.idle(epochs, trials=100)) is not decides
    assert not Pruning().idle(epochs, trials=100)


@pytest.mark.parametrize(("name", "least"), [("sha", 1), ("hyperband", 1), ("median", 5)])
def test_a_pruner_with_too_few_trials_to_compare_says_so(name: str, least: int) -> None:
    (notice,) = Pruning(name).idle(9, least)
    assert f"--pruner {name} stops no training" in notice and f"--trials is {least}" in notice
    assert not Pruning(name).idle(9, least + 1)


@pytest.mark.parametrize("name", [name for name in PRUNERS if name != "none"])
def test_pruners_end_the_bad_and_keep_the_best_at_their_rungs(name: str, tmp_path: Path) -> None:
    pruning = Pruning(name, 1, 2)
    study = opened(tmp_path / "journal", "random", pruning=pruning)
    ended: dict[int, int] = {}
    quality = [0.9, 0.8, 0.85, 0.7, 0.95, 0.1, 0.2, 0.99, 0.15, 0.05, 0.12, 0.97]
    for number, value in enumerate(quality):
        trial = study.ask()
        draw(trial)
        for epoch in range(1, EPOCHS):
            trial.report(value * epoch / 8, epoch)
            if epoch in pruning.rungs(EPOCHS, number) and trial.should_prune():
                ended[number] = epoch
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, value)
    assert ended and 7 not in ended
    assert all(quality[number] < 0.9 for number in ended)


@pytest.mark.parametrize(("by", "accuracy"), [("train", 0.5), ("validation", 0.25)])
def test_pruners_see_the_accuracies_that_were_asked_for(
    by: str, accuracy: float, tmp_path: Path
) -> None:
    pruning = Pruning("sha", by=by)
    study = opened(tmp_path / "journal", "random", pruning=pruning)
    shared = SharedStudy(study, KernelLock(tmp_path / "lock"), pruning, EPOCHS)
    trial = shared.ask("worker")
    shared.report(trial, [EpochResult(1, 1.0, 0.5, 1.0, 0.25, 100, 2.0, 0.5)])
    assert study.get_trials()[0].intermediate_values == {1: accuracy}


def test_pruning_refuses_what_makes_no_sense() -> None:
    for arguments in (("nosuch",), ("sha", 0), ("sha", 1, 1), ("sha", 1, 2, "test")):
        with pytest.raises(InputError):
            Pruning(*arguments)


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(InputError, match="the samplers are tpe"):
        check_sampler("gut", ["accuracy"])


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_last_line_is_cut_off(cut: int, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    whole = run(journal, "random", 5)
    content = journal.read_bytes()
    journal.write_bytes(content[:-cut])
    again = run(journal, "random", 0)
    assert again[:4] == whole[:4]
    assert run(journal, "random", 1)[:5] == whole


def _hold(journal: Path, held: Any) -> None:
    study = opened(journal, "random")
    lock = study._storage._backend._lock  # type: ignore[attr-defined]
    lock.acquire()
    held.set()
    signal.pause()


def test_a_lock_held_by_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "journal", held))
    process.start()
    assert held.wait(60)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    signal.alarm(10)  # Optuna's own lock would wait for 30 s
    try:
        assert len(run(tmp_path / "journal", "random", 1)) == 1
    finally:
        signal.alarm(0)


# Numbers in a space.

UNEVEN = SOUND.replace("n2_3 = 1", "n2_3 = [1, 2, 8]")
LISTED = UNEVEN.replace("n1_1 = 1", "n1_1 = [16, 32, 48, 64]")
RANGED = LISTED.replace("[16, 32, 48, 64]", "{ low = 16, high = 64, step = 16 }")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_lists_and_ranges_are_one_ordered_search(sampler: str, tmp_path: Path) -> None:
    drawn = []
    for name, text in (("listed", LISTED), ("ranged", RANGED)):
        study, space = opened(tmp_path / name, sampler), parse(text)
        for _ in range(12):
            trial = study.ask()
            block = space.sample(trial, 10, (1, 8, 8)).blocks[0]
            study.tell(trial, block.n1_1 / 100 + block.n2_3 / 1000)
        drawn.append([(trial.params, trial.distributions) for trial in study.get_trials()])
        for trial in study.get_trials():
            assert trial.distributions == {
                "b0.n1_1": IntDistribution(16, 64, step=16),
                "b0.n2_3.index": IntDistribution(0, 2),
            }
    assert drawn[0] == drawn[1]
