"""The one reader: what it refuses, and that its sentences name place, value and rule."""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from typing import Any

import pytest
from helpers.records import a_config, record
from hypothesis import given
from hypothesis import strategies as st

from nas_incep import recipe, records
from nas_incep._formats import read, unwrap, unwrap_optional
from nas_incep.datasets import Dataset
from nas_incep.errors import InputError
from nas_incep.export import manifest
from nas_incep.recipe import Recipe
from nas_incep.records import COMPLETE, EpochResult, Subject, from_json
from nas_incep.results import config
from nas_incep.spaces.space import Choice

WHOLE = record(3, COMPLETE, 0.5, 0.75).to_json()


def fault(value: Any) -> str:
    with pytest.raises(InputError) as error:
        from_json(value, "here")
    text = str(error.value)
    assert text.startswith("here: ")
    assert "\n" not in text
    return text


def changed(place: str, value: object) -> dict[str, Any]:
    """The whole record's JSON with one value changed, at a place like `curve.1.loss`."""
    whole = json.loads(json.dumps(WHOLE))
    *folders, name = place.split(".")
    inner: Any = whole
    for folder in folders:
        inner = inner[int(folder)] if folder.isdecimal() else inner[folder]
    inner[int(name) if name.isdecimal() else name] = value
    return dict(whole)


def test_the_whole_record_reads() -> None:
    assert from_json(json.loads(json.dumps(WHOLE)), "here") == record(3, COMPLETE, 0.5, 0.75)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("format", "nas-incep-run", "format is 'nas-incep-run', expected 'nas-incep-trial'"),
        ("version", True, "version is True, expected 1"),
        ("version", 1.0, "version is 1.0, expected 1"),
        ("version", 2, "version is 2, expected 1"),
        ("kind", "network", "kind is 'network': candidate or baseline is expected"),
        ("kind", "baseline", "trial is 3, which no baseline has"),
        ("trial", None, "trial is None, which no candidate has"),
        ("trial", True, "trial is True: an integer or null is expected"),
        ("trial", -1, "trial is -1: an integer >= 0 is expected"),
        ("trial", 10**30, "trial is 1000000000000000000000000000000: an integer <= 92233720368"),
        ("state", "finished", "state is 'finished': one of complete, pruned"),
        ("seed", "7", "seed is '7': an integer is expected"),
        ("curve.1.val_accuracy", "0.5", "curve[1].val_accuracy is '0.5': a number is expected"),
        ("curve.1.val_accuracy", 1.5, "curve[1].val_accuracy is 1.5: a number <= 1.0 is expected"),
        ("curve.0.val_accuracy", True, "curve[0].val_accuracy is True: a number is expected"),
        ("curve.0.epoch", 0, "curve[0].epoch is 0: an integer >= 1 is expected"),
        ("curve.0.images", 1.0, "curve[0].images is 1.0: an integer is expected"),
        ("curve.0.speed", 1, "unknown key 'speed' in curve[0]; the keys are epoch, loss"),
        ("curve.0", [], "curve[0] is []: an object is expected"),
        ("curve", {}, "curve is {}: a list is expected"),
        ("recipe.epochs", 0, "recipe: recipe brief: epochs is 0: a positive integer is expected"),
        ("recipe.epochs", None, "recipe.epochs is None: an integer is expected"),
        ("recipe", None, "recipe is None: an object is expected"),
        ("architecture", 7, "architecture: an object with the key 'blocks' is expected"),
        ("architecture.blocks", [], "architecture: impossible architecture: blocks is not a list"),
        ("architecture.version", 2, "architecture: version is 2, expected 1"),
        ("environment", [], "environment is []: an object is expected"),
        ("seconds", -1, "seconds is -1: a number >= 0.0 is expected"),
        ("latency_ms", "1", "latency_ms is '1': a number or null is expected"),
        ("engine", None, "engine is None: text is expected"),
        ("where", 1, "where is 1: text is expected"),
        ("surprise", 1, "unknown key 'surprise'"),
        ("reason", 10**2000, "..."),
    ],
)
def test_a_wrong_value_is_named(place: str, value: object, message: str) -> None:
    assert message in fault(changed(place, value))


@pytest.mark.parametrize(
    "name",
    sorted(
        {*WHOLE}
        - {"engine", "where", "latency_ms", "retry_of", "duplicate_of", "right", "stage", "repeat"}
    ),
)
def test_a_missing_value_is_named(name: str) -> None:
    value = {key: item for key, item in WHOLE.items() if key != name}
    assert re.search(rf"\b{name} is (missing|None, expected)", fault(value))


def test_records_of_before_there_were_engines_are_gluons() -> None:
    value = {key: item for key, item in WHOLE.items() if key not in ("engine", "where")}
    old = from_json(value, "here")
    assert (old.engine, old.outcome.where) == ("gluon", "")


@pytest.mark.parametrize("value", [None, [], "x", 7, True, {}])
def test_what_is_no_object_of_the_format_is_refused(value: object) -> None:
    assert "nas-incep-trial" in fault(value)


@pytest.mark.parametrize(
    "name",
    ["..", ".", ".x", "../../x", "a/b", "a\\b", "a\0b", "", "A", "a" * 151, "a\n", "é", "a b"],
)
def test_a_baselines_name_can_be_no_path(name: str) -> None:
    value = {**record(None, COMPLETE, 0.5).to_json(), "name": name}
    assert fault(value).startswith("here: name is ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
PLACES = [*WHOLE, *(f"curve.0.{key}" for key in WHOLE["curve"][0])]
PLACES += [f"recipe.{key}" for key in WHOLE["recipe"]]
PLACES += [f"architecture.{key}" for key in WHOLE["architecture"]]


@given(st.sampled_from(PLACES), JSON)
def test_any_json_anywhere_is_read_or_refused_in_one_sentence(place: str, value: Any) -> None:
    try:
        found = from_json(changed(place, value), "here")
    except InputError as error:
        assert str(error).startswith("here: ")
        return
    # What was read has the types that it says, and is written as it was.
    assert from_json(json.loads(json.dumps(found.to_json())), "here") == found


@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    for reader in (from_json, config.from_json, manifest.from_json):
        with pytest.raises(InputError):
            reader(value, "here")


# The parts of the reader.


@dataclasses.dataclass(frozen=True)
class Point:
    x: int


@dataclasses.dataclass(frozen=True)
class Shape:
    points: dict[str, Point]
    name: str = ""


def test_unknown_keys_are_found_at_any_depth() -> None:
    value = {"points": {"a": {"x": 1}, "b": {"x": 1, "y": 2}}}
    with pytest.raises(InputError, match=r"here: unknown key 'y' in points\.b; the keys are x"):
        read(value, Shape, "here")


def test_a_place_stands_before_the_fields() -> None:
    with pytest.raises(InputError, match=r"here: a\.b\.name is 1: text is expected"):
        read({"points": {}, "name": 1}, Shape, "here", "a.b")
    with pytest.raises(InputError, match=r"here: a\.b\.points is missing"):
        read({}, Shape, "here", "a.b")


def test_an_instance_stays_as_it_is() -> None:
    point = Point(1)
    assert read({"points": {"a": point}}, Shape, "here").points["a"] is point


def test_several_versions_are_told_apart() -> None:
    value = {"format": "f", "version": 2, "x": 1}
    assert unwrap(value, "f", (1, 2), "here") == {"version": 2, "x": 1}
    assert unwrap(value, "f", (2,), "here") == {"x": 1}
    with pytest.raises(InputError, match="here: version is 2, expected 1 or 3"):
        unwrap(value, "f", (1, 3), "here")


def test_a_header_may_be_missing_from_what_people_write() -> None:
    assert unwrap_optional({"x": 1}, "f", 1, "here") == {"x": 1}
    with pytest.raises(InputError, match="version is 2, expected 1"):
        unwrap_optional({"version": 2}, "f", 1, "here")


def read_by_msgspec() -> list[type]:
    """The dataclasses whose annotations Python evaluates."""
    modules = (records, recipe, config, manifest)
    found = [item for module in modules for item in vars(module).values()] + [Choice]
    return [item for item in found if isinstance(item, type) and dataclasses.is_dataclass(item)]


def test_annotations_that_are_evaluated_are_fit_for_python_3_9() -> None:
    classes = read_by_msgspec()
    assert {Recipe, Subject, EpochResult, config.RunConfig, manifest.Manifest} <= set(classes)
    for kind in set(classes) - {Dataset}:
        assert all("|" not in text for text in kind.__annotations__.values()), kind
        typing.get_type_hints(kind)


def test_a_manifest_survives_its_json() -> None:
    made = manifest.manifest_of(
        a_config(),
        record(3, COMPLETE, 0.5),
        {"architecture.json": "0" * 64, "weights.params": "f" * 64},
    )
    assert manifest.from_json(json.loads(json.dumps(made.to_json())), "here") == made
    assert made.engine == "gluon"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"files": {}}, "files.architecture.json is missing"),
        ({"files": {"weights.params": {"sha256": "x"}}}, "matching regex"),
        ({"identity": 7}, "identity is 7: text is expected"),
        ({"engine": 7}, "engine is 7: text is expected"),
        ({"surprise": 7}, "unknown key 'surprise'"),
        ({"classes": "ab"}, "classes is 'ab': a list is expected"),
    ],
)
def test_a_wrong_manifest_is_named(changes: dict[str, Any], message: str) -> None:
    sums = {"architecture.json": "0" * 64, "weights.params": "f" * 64}
    made = manifest.manifest_of(a_config(), record(3, COMPLETE, 0.5), sums)
    with pytest.raises(InputError, match=r"^here: ") as error:
        manifest.from_json({**made.to_json(), **changes}, "here")
    assert message in str(error.value)


@pytest.mark.parametrize("place", ["seconds", "trial", "curve.0.loss", "state"])
def test_a_lone_surrogate_in_the_place_of_another_value_is_refused(place: str) -> None:
    fault(changed(place, json.loads('"\\ud800"')))


def test_a_key_that_is_no_unicode_is_refused() -> None:
    assert fault({**WHOLE, "\ud800": 1}) == "here: a text has a lone surrogate, so it is no Unicode"
