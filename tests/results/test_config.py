"""The configuration of a run: written, read again, read from older files, compared."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from helpers.records import a_config, version_3
from hypothesis import given
from hypothesis import strategies as st

from nas_incep._files import write_json
from nas_incep.errors import InputError
from nas_incep.recipe import RECIPES
from nas_incep.records import Outcome
from nas_incep.results.config import (
    RunConfig,
    from_json,
)
from nas_incep.results.pruning import Pruning
from nas_incep.results.run import Run
from nas_incep.results.samplers import SAMPLERS
from nas_incep.spaces.reader import parse_space, read_space, with_limits

CONFIGS = st.builds(
    a_config,
    space=st.builds(
        with_limits,
        st.just(read_space("quick")),
        st.dictionaries(st.sampled_from(["max_params", "max_macs"]), st.integers(10**7, 10**9)),
    ),
    recipe=st.sampled_from(list(RECIPES.values())),
    trials=st.integers(0, 1000),
    data_dir=st.sampled_from([None, Path("/data")]),
    validation_size=st.sampled_from([None, 300]),
    seed=st.integers(0, 2**31),
    sampler=st.sampled_from(SAMPLERS),
    pruning=st.builds(Pruning, st.sampled_from(["none", "sha"]), st.integers(1, 3)),
    latency=st.booleans(),
    keep=st.integers(1, 20),
    trial_timeout=st.none() | st.floats(0.001, 1e6),
    precision=st.sampled_from(["float32", "bfloat16", "auto"]),
    baselines=st.sampled_from([(), ("inception3@75", "cifar_resnet20_v1")]),
)


@given(CONFIGS, st.booleans())
def test_a_configuration_survives_its_json(config: RunConfig, deterministic: bool) -> None:
    request = dataclasses.replace(config.request, deterministic=deterministic)
    config = dataclasses.replace(config, request=request)
    assert from_json(json.loads(json.dumps(config.to_json())), "run.json") == config


def with_unordered_lists(config: RunConfig) -> RunConfig:
    """The configuration with the space as version 0.1.0 showed it to the sampler."""
    space = config.request.space
    old = with_limits(parse_space(space.text, space.name, "old", False), space.limits)
    return dataclasses.replace(config, request=dataclasses.replace(config.request, space=old))


@given(CONFIGS)
def test_version_3_reads_as_the_same_configuration(config: RunConfig) -> None:
    old = from_json(version_3(config), "run.json", config.request.baselines)
    assert old == with_unordered_lists(config)
    assert old.differences(config) == []


@given(CONFIGS)
def test_version_4_reads_as_the_same_configuration(config: RunConfig) -> None:
    value = json.loads(json.dumps(config.to_json()))
    del value["request"]["baselines"]
    value["version"] = 4
    assert from_json(value, "run.json", config.request.baselines) == config


@given(CONFIGS)
def test_a_file_of_version_3_without_a_request_keeps_the_identity(config: RunConfig) -> None:
    value = version_3(config)
    del value["request"], value["called"], value["precision"]
    old = from_json(value, "run.json")
    assert old.differences(config) == []
    assert (old.called, old.precision) == (None, None)


def test_a_run_of_version_3_is_gone_on_with_and_rewritten(tmp_path: Path) -> None:
    run, config = Run(tmp_path), a_config(trials=9)
    write_json(run.config_path, version_3(a_config()))
    begun = run.begin(config)
    assert begun.request.trials == 9
    run.save(begun)
    value = json.loads(run.config_path.read_text())
    assert (value["version"], value["engine"]) == (5, "gluon")
    assert run.config() == begun


def test_another_search_is_refused_with_every_difference(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.begin(a_config(precision="bfloat16"))
    recipe = dataclasses.replace(RECIPES["brief"], epochs=4)
    with pytest.raises(InputError) as error:
        run.begin(a_config(recipe=recipe, seed=7))
    assert "recipe.epochs was 3, now 4" in str(error.value)
    assert "seed was 0, now 7" in str(error.value)
    assert "precision was 'bfloat16', now 'float32'" in str(error.value)
    with pytest.raises(InputError, match="engine was 'gluon', now 'torch'"):
        run.begin(dataclasses.replace(a_config(precision="bfloat16"), engine="torch"))


def test_the_identity_of_an_objective_is_its_meaning() -> None:
    spaced, plain = a_config(objective="accuracy, macs"), a_config(objective="accuracy,macs")
    assert spaced.request.objective == "accuracy,macs"
    assert spaced.differences(plain) == []


def test_a_folder_given_by_the_user_is_kept_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    value = a_config(data_dir=Path("images")).to_json()
    assert value["request"]["data_dir"] == str(tmp_path / "images")


def test_what_is_not_known_yet_is_not_in_the_file() -> None:
    """Scripts wait for the word `called`."""
    value = dataclasses.replace(a_config(), called=None, precision=None).to_json()
    assert not {"called", "precision"} & set(value)
    assert from_json(value, "run.json").called is None


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("version", 6, "version is 6, expected 3 or 4 or 5"),
        ("version", True, "version is True, expected 3 or 4 or 5"),
        ("format", "x", "format is 'x', expected 'nas-incep-run'"),
        ("engine", 1, "engine is 1: text is expected"),
        ("surprise", 1, "unknown key 'surprise'"),
        ("request.trials", "4", "request.trials is '4': an integer is expected"),
        ("request.keep", 0, "request.keep is 0: an integer >= 1 is expected"),
        ("request.sampler", "gut", "request: --sampler gut"),
        ("request.recipe.epochs", 0, "request.recipe: recipe brief: epochs is 0"),
        ("request.recipe.tempo", 0, "unknown key 'tempo' in request.recipe"),
        ("request.space.text", "x", "request.space: not valid TOML"),
        ("request.space.limits", {"max_x": 1}, "request.space.limits has 'max_x'"),
        ("request.baselines", [3], "request.baselines[0] is 3: text is expected"),
        ("request.data_dir", 3, "request.data_dir is 3"),
        ("data.std", [0], "data.std[0] is 0: a number > 0.0 is expected"),
        ("data.image_shape", [1, 8], "data.image_shape has 2 items: a list of 3 is expected"),
        ("study", 3, "study is 3: an object is expected"),
        ("study.heartbeat", True, "study.heartbeat is True: an integer is expected"),
        ("versions", {"python": 3}, "versions[...] is {'python': 3}: text is expected"),
    ],
)
def test_a_wrong_value_is_named_with_its_place_and_the_rule(
    place: str, value: object, message: str
) -> None:
    whole = a_config().to_json()
    *folders, name = place.split(".")
    inner = whole
    for folder in folders:
        inner = inner[folder]
    inner[name] = value
    with pytest.raises(InputError) as error:
        from_json(json.loads(json.dumps(whole)), "run.json")
    assert str(error.value).startswith("run.json: ")
    assert message in str(error.value)


@pytest.mark.parametrize("place", ["engine", "request", "request.space", "data.mean", "study.name"])
def test_a_missing_value_is_named(place: str) -> None:
    whole = a_config().to_json()
    *folders, name = place.split(".")
    inner = whole
    for folder in folders:
        inner = inner[folder]
    del inner[name]
    with pytest.raises(InputError, match=f"run.json: {place} is missing"):
        from_json(whole, "run.json")


@pytest.mark.parametrize("broken", ["search", "space", "data", "study", "created", "environment"])
def test_a_broken_file_of_version_3_is_refused(broken: str) -> None:
    for wrong in (None, [], 7):
        value = version_3(a_config())
        del value["request"]
        value[broken] = wrong
        with pytest.raises(InputError, match=r"^run\.json: "):
            from_json(value, "run.json")
    del value[broken]
    with pytest.raises(InputError, match=f"{broken} is missing"):
        from_json(value, "run.json")


def test_a_record_is_of_its_run() -> None:
    from helpers.records import record

    config = a_config()
    made = config.record(record(3, "complete").subject, Outcome("failed", "x"), {}, 1.0)
    assert (made.engine, made.recipe) == (config.engine, config.request.recipe)
    assert made.data_fingerprint == config.data.fingerprint
