"""Predictions of a bundle's network, on the command line and from Python."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from helpers.bundles import COLORED, NAMES, a_bundle, random_arrays
from helpers.commands import meddled, run_cli
from helpers.engines import ENGINES
from PIL import Image

import nas_incep
from nas_incep import datasets
from nas_incep.errors import InputError


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first 70 validation images of the digits: more than one batch."""
    folder = tmp_path_factory.mktemp("images")
    for number, image in enumerate(datasets.load("digits").validation.images[:70]):
        Image.fromarray(image[0]).save(folder / f"{number:02}.png")
    return folder


OLD = Path(__file__).parents[1] / "fixtures" / "0.1.0" / "bundle"


@pytest.mark.parametrize("engine", [*ENGINES, "onnx", "auto", "old"])
def test_predictions_have_the_recorded_accuracy(engine: str, bundle: Path) -> None:
    if engine == "old":  # a bundle of the first version
        bundle, engine = OLD, "onnx"
    predictor = nas_incep.load_predictor(bundle, engine)
    validation = datasets.load("digits").validation
    found = list(predictor.many((image[0] for image in validation.images), top=1))
    right = [int(best[0][0] == str(label)) for best, label in zip(found, validation.labels)]
    recorded = json.loads((bundle / "manifest.json").read_text())["accuracy"]["validation"]
    assert np.mean(right) == pytest.approx(recorded, abs=1.5 / len(right))


def test_a_prediction_is_plain_data_with_the_softmax_of_the_outputs(bundle: Path) -> None:
    predictor = nas_incep.load_predictor(bundle, "onnx")
    image = datasets.load("digits").validation.images[0]
    found = predictor(image[0])
    assert [type(part) for pair in found for part in pair] == [str, float] * 10
    outputs = predictor.outputs(image[None])[0]
    powers = [math.exp(float(output)) for output in outputs]
    expected = {str(digit): power / sum(powers) for digit, power in enumerate(powers)}
    assert dict(found) == pytest.approx(expected, rel=1e-5)
    parts = [part for _, part in found]
    assert parts == sorted(parts, reverse=True)
    assert predictor(image[0], top=2) == found[:2]


@pytest.mark.parametrize("engine", ["auto", "onnx"])
def test_the_command_predicts_a_folder(engine: str, bundle: Path, images: Path) -> None:
    done = run_cli("predict", bundle, images, "--engine", engine, "--format", "json", "--top", 2)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["image"] for row in rows] == [str(images / f"{n:02}.png") for n in range(70)]
    predictor = nas_incep.load_predictor(bundle, "onnx")
    for row, expected in zip(rows, predictor.many(sorted(images.iterdir()), top=2)):
        assert [best["class"] for best in row["classes"]] == [name for name, _ in expected]
        found = [best["probability"] for best in row["classes"]]
        assert found == pytest.approx([part for _, part in expected], abs=1e-5)


def test_no_framework_is_needed(bundle: Path, images: Path, tmp_path: Path) -> None:
    hidden = """
import importlib.metadata, importlib.util, sys
find, distributions = importlib.util.find_spec, importlib.metadata.distributions
sys.modules["mxnet"] = sys.modules["gluoncv"] = sys.modules["torch"] = None
importlib.util.find_spec = lambda name, *more: None if name == "torch" else find(name, *more)
importlib.metadata.distributions = lambda: (
    found for found in distributions() if not found.metadata["Name"].startswith("mxnet")
)
"""
    done = run_cli("predict", bundle, images / "00.png", env=meddled(tmp_path, hidden))
    assert done.returncode == 0, done.stderr
    assert done.stdout == run_cli("predict", bundle, images / "00.png", "--engine", "onnx").stdout


def test_an_image_that_cannot_be_read_is_told_and_the_others_are_predicted(
    bundle: Path, images: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes((images / "00.png").read_bytes()[:60])
    files = (tmp_path / "gone.png", images / "00.png", bad, images / "01.png")
    done = run_cli("predict", bundle, *files, "--engine", "onnx")
    assert done.returncode == 2
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == [
        str(images / "00.png"),
        str(images / "01.png"),
    ]
    assert done.stderr.splitlines() == [
        f"nas-incep: {tmp_path / 'gone.png'}: cannot be read as an image: "
        "No such file or directory",
        f"nas-incep: {bad}: cannot be read as an image: image file is truncated",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "table:x"], "'table:x': one of auto, gluon, torch, onnx is expected"),
        (["--engine", "onnx", "--device", "gpu"], "--engine onnx computes on the CPU"),
        (["--top", 0], "0 is not in the range"),
    ],
)
def test_impossible_options_are_refused(
    arguments: list[object], message: str, bundle: Path, images: Path
) -> None:
    done = run_cli("predict", bundle, images, *arguments)
    assert done.returncode == 2
    assert message in done.stderr and done.stdout == ""


def test_a_colored_network_takes_gray_images_of_any_size(tmp_path: Path) -> None:
    predictor = nas_incep.load_predictor(a_bundle(tmp_path / "b").path, "onnx")
    gray = np.random.default_rng(0).integers(0, 256, (30, 50), np.uint8)
    assert predictor(gray) == predictor(np.dstack([gray] * 3))
    assert sorted(name for name, _ in predictor(gray)) == sorted(NAMES)


def test_names_of_classes_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    names = ("\x1b[31mred", "a\nb", "\u202eevil", "x")
    path = a_bundle(tmp_path / "b", classes=names).path
    Image.new("RGB", (10, 12)).save(tmp_path / "a.png")
    done = run_cli("predict", path, tmp_path / "a.png", "--top", 4, "--engine", "onnx")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert "\\x1b[31mred" in done.stdout and "a\\nb" in done.stdout
    assert "\x1b" not in done.stdout and "\u202e" not in done.stdout


def test_outputs_that_are_not_finite_are_told(tmp_path: Path) -> None:
    arrays = random_arrays(COLORED)
    arrays["output.0.conv2.bias"][1] = np.nan
    predictor = nas_incep.load_predictor(a_bundle(tmp_path / "b", COLORED, arrays).path, "onnx")
    with pytest.raises(InputError, match="the outputs of its network are not finite"):
        predictor(np.zeros((5, 5), np.uint8))


def test_a_network_of_other_channels_is_refused(tmp_path: Path) -> None:
    strange = dataclasses.replace(COLORED, input_shape=(2, 12, 10))
    with pytest.raises(InputError, match="takes images of 2 channels"):
        nas_incep.load_predictor(a_bundle(tmp_path / "b", strange).path, "onnx")


def test_a_manifest_of_other_classes_is_refused(tmp_path: Path) -> None:
    path = a_bundle(tmp_path / "b", classes=("cat", "dog")).path
    with pytest.raises(InputError, match=r"classes is 2 in the manifest, 4 in architecture\.json"):
        nas_incep.load_predictor(path, "onnx")
