"""The private names of Optuna that study/_optuna.py needs are where it looks for them."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import optuna
import pytest

from nas_incep.study import _optuna

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

MOVED = (
    f"Optuna {version('optuna')} has moved a private name that nas_incep/study/_optuna.py uses; it "
    f"was checked against {_optuna.CHECKED_VERSION}: mend that file first"
)


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study()


def test_a_study_and_its_trials_tell_their_storage_and_numbers(study: optuna.Study) -> None:
    trial = study.ask()
    storage = _optuna.storage_of(study)
    assert isinstance(storage, optuna.storages.BaseStorage), MOVED
    assert storage.get_trial(_optuna.trial_id(trial)).number == trial.number, MOVED
    assert _optuna.trial_id(study.trials[0]) == _optuna.trial_id(trial), MOVED
    assert _optuna.cached(storage) is storage, MOVED


def test_only_a_database_has_a_heartbeat(study: optuna.Study, tmp_path: Path) -> None:
    database = optuna.storages.RDBStorage(
        f"sqlite:///{tmp_path / 'study.db'}", heartbeat_interval=1, grace_period=2
    )
    assert not _optuna.has_heartbeat(_optuna.storage_of(study)), MOVED
    assert _optuna.has_heartbeat(database), MOVED
    other = optuna.create_study(storage=database)
    assert _optuna.stale_trial_ids(other) == [], MOVED
    assert isinstance(_optuna.cached(database), _optuna.BaseHeartbeat), MOVED
    database.engine.dispose()


def test_a_second_try_says_which_one_was_the_first(study: optuna.Study) -> None:
    retry = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=1)
    study.ask()
    retry(study, study.trials[0])
    attributes = study.trials[1].system_attrs
    assert attributes[_optuna.FIRST_TRY] == 0, MOVED
    assert attributes[_optuna.ALL_TRIES] == [0], MOVED


def test_the_parts_of_the_grpc_client_are_there() -> None:
    grpc = pytest.importorskip("grpc")
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        stub = _optuna.grpc_stub(channel)
        assert stub is not None, MOVED
        assert hasattr(_optuna.grpc_cache(stub), "studies"), MOVED


def test_a_storage_hands_on_all_that_optuna_asks_of_one() -> None:
    """What is abstract is made again after a lost connection; the rest is made of that."""
    from nas_incep.study.database import DurableStorage

    assert DurableStorage.__abstractmethods__ == frozenset(), MOVED
    for name in ("create_new_trial", "set_trial_state_values", "record_heartbeat"):
        assert name in DurableStorage.__mro__[1].__dict__, MOVED


def test_a_journal_needs_no_database_library(tmp_path: Path) -> None:

    code = (
        "import sys, pathlib, nas_incep.study.shared; "
        "from nas_incep.study.storage import open_storage; "
        "open_storage(pathlib.Path(sys.argv[1]) / 'journal'); "
        "print(*({'sqlalchemy', 'grpc', 'nas_incep.study.database'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_the_proxys_client_has_the_parts_that_are_replaced() -> None:
    import inspect

    source = inspect.getsource(optuna.storages.GrpcStorageProxy)
    assert callable(optuna.storages.GrpcStorageProxy._setup), MOVED
    for name in _optuna.PROXY_PARTS:
        assert name in source, MOVED
